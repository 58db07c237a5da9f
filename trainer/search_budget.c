// See search_budget.h.
#include "trainer/search_budget.h"

#include <math.h>
#include <string.h>

static bool is(const struct run_config *c, const char *method) { return strcmp(c->search.method, method) == 0; }

enum search_space_kind search_space_of(const struct run_config *c) {
  static const char *const names[] = {"", "bits", "sparsity", "drop", "structure"};
  if (is(c, "none")) return SEARCH_NOTHING;
  for (enum search_space_kind kind = SEARCH_BITS; kind <= SEARCH_STRUCTURE; kind++)
    if (strcmp(c->search.space, names[kind]) == 0) return kind;
  return is(c, "darwin") ? SEARCH_STRUCTURE : SEARCH_BITS;  // auto
}

bool search_removes(const struct run_config *c) { return search_space_of(c) >= SEARCH_DROP; }

// ---- what stays ----

struct search_units search_units(const struct run_config *c) {
  bool whole = search_space_of(c) == SEARCH_DROP;
  struct search_units u = {.attention_levels = whole ? 1 : c->model.kv_heads,
                           .mlp_levels = whole ? 1 : c->search.column_levels};
  u.attention = llround(c->search.keep * (double)(c->model.layers * u.attention_levels));
  u.mlp = llround(c->search.keep * (double)(c->model.layers * u.mlp_levels));
  return u;
}

struct parameter_counts config_kept_parameters(const struct run_config *c) {
  struct parameter_counts p = config_parameters(c);
  if (!search_removes(c)) return p;
  struct search_units u = search_units(c);
  int64_t attention = p.attention / (c->model.layers * u.attention_levels),
          mlp = p.mlp / (c->model.layers * u.mlp_levels);
  int64_t all = p.prunable;
  p.attention = u.attention * attention;
  p.mlp = u.mlp * mlp;
  p.prunable = p.attention + p.mlp;
  p.non_embedding -= all - p.prunable;
  p.total -= all - p.prunable;
  return p;
}

// ---- which settings are read ----

bool search_reads_bits(const struct run_config *c) { return search_space_of(c) == SEARCH_BITS; }
bool search_reads_sparsity(const struct run_config *c) { return search_space_of(c) == SEARCH_SPARSITY; }
bool search_reads_keep(const struct run_config *c) { return search_removes(c); }
bool search_reads_columns(const struct run_config *c) { return search_space_of(c) == SEARCH_STRUCTURE; }
bool search_reads_matrices(const struct run_config *c) { return search_reads_bits(c) || search_reads_sparsity(c); }

// Where a Hessian is inverted.
bool search_reads_damping(const struct run_config *c) {
  static const char *const by[] = {"auto", "gptq", "babai", "sparsegpt"};
  bool reads = search_reads_columns(c);
  for (size_t i = 0; i < sizeof by / sizeof *by; i++)
    reads |= search_reads_matrices(c) && strcmp(c->search.compressor, by[i]) == 0;
  return reads;
}

bool search_reads_generations(const struct run_config *c) { return is(c, "evopress") || is(c, "darwin"); }
bool search_reads_worth(const struct run_config *c) {
  return search_reads_generations(c) || is(c, "exhaustive") || is(c, "dp") || c->search.random_choices > 0;
}
bool search_reads_top(const struct run_config *c) {
  return search_reads_worth(c) && strcmp(c->search.fitness, "top_kl") == 0;
}
bool search_reads_finetune(const struct run_config *c) { return is(c, "darwin"); }
bool search_reads_finetune_lr(const struct run_config *c) {
  return search_reads_finetune(c) && c->search.finetune_tokens > 0;
}
bool search_reads_noise(const struct run_config *c) { return is(c, "dp"); }
bool search_reads_choices(const struct run_config *c) { return is(c, "exhaustive"); }
