// A law's formula with every name bound to its place: a coefficient, an input, or one of N, D and C, which vary from
// one evaluation to the next.
#pragma once
#include "fitting/law_internal.h"

enum binding_kind { BOUND_FIXED, BOUND_COEFFICIENT, BOUND_PARAMETERS, BOUND_TOKENS, BOUND_FLOPS };

struct law_binding {
  const struct law *law;
  struct value *slots;      // [name_count]
  enum binding_kind *kind;  // [name_count]
  int *coefficient;         // [name_count]: place among the coefficients
  bool has_parameters, has_tokens, has_flops;
};

// Binds the law for these inputs. When `open`, N, D and C (N by whichever count the law uses) stay to be
// given at each evaluation; else they are inputs as any other. False with the reason in `error`: an input is missing, a
// category has no coefficient.
bool law_bind(struct arena *arena, const struct law *law, const struct coefficient *coefficients, size_t count,
              const struct law_input *inputs, size_t input_count, bool open, struct law_binding *binding,
              struct error *error);
// The law's value at these coefficient values ([count], in the order of the coefficients bound); NAN where there is
// none.
double law_bound_value(const struct law_binding *binding, const double *values, double parameters, double tokens,
                       double flops);

// The inputs and what follows from them (tokens from flops or tokens_per_parameter, flops, tokens_per_parameter) into
// `all`, which has room for count + 3; returns how many there are.
size_t complete_inputs(const struct fitted_law *fitted, const struct law_input *inputs, size_t count,
                       struct law_input *all);

// The value of something that follows from the coefficients, with its interval: `values` are the same at each of the
// law's replicates, [fitted_law_rows]. The interval is NAN with fewer than two numbers among them, and on a side that
// the open ends leave.
struct estimate estimate_of(const struct fitted_law *fitted, double value, const double *values);
