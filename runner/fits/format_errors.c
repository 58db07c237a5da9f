// See format_errors.h.
#include "runner/fits/format_errors.h"

#include "runner/fits/format_capacity.h"

static bool measure_one(struct store *store, const char *name, struct error *error) {
  struct arena arena = {0};
  struct capacity_options options = {.threads = threads_wanted(0), .isa = isa_best()};
  struct format_capacity capacity;
  const struct format *format = format_read(name, &arena, error);
  bool fine = format && format_capacity(format, name, &options, &capacity, error);
  if (fine) {
    double gmse[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) gmse[i] = capacity.represented[i] ? capacity.capacities[i].gmse : 0;
    fine = store_format_measured(store, name, gmse, error);
  }
  arena_free(&arena);
  return fine;
}

bool format_errors_measure(struct store *store, struct error *error) {
  if (store_read_only(store)) return true;
  struct arena arena = {0};
  size_t count;
  const char **names = store_formats_unmeasured(store, &arena, &count, error);
  for (size_t i = 0; i < count && !error->code; i++) measure_one(store, names[i], error);
  arena_free(&arena);
  return !error->code;
}
