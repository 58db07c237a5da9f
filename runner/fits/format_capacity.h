// The capacity of a whole format, as the commands `capacity` and `formats` tell it.
#pragma once
#include "kernels/formats/capacity.h"

struct format_capacity {
  const struct format *format;
  const char *asked;  // its text as it was given
  int operands;       // that are represented
  enum operand only;  // the one, when operands is 1
  bool represented[OPERANDS];
  struct capacity capacities[OPERANDS];  // of those
  double bits;                           // per weight; 16 when weights are not represented
};
// Measures every represented operand. Equal operands are measured once.
bool format_capacity(const struct format *format, const char *asked, const struct capacity_options *options,
                     struct format_capacity *result, struct error *error);
// The same of several formats by their names (parsed into the arena). All are read before the first is measured: a
// mistyped one should not cost a wait.
bool formats_measure(const char *const *names, size_t count, const struct capacity_options *options,
                     struct format_capacity *results, struct arena *arena, struct error *error);
void format_capacity_json(const struct format_capacity *capacity, struct json_writer *writer);

// What `capacity` and `formats` show when nothing is named.
const char **common_formats(struct arena *arena, size_t *count);
