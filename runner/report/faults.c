// See faults.h.
#include "runner/report/faults.h"

#include <string.h>

const char *figure_faults_add(struct figure_faults *faults, const char *name, const struct error *error) {
  const char *context = arena_format(faults->arena, "figure %s: ", name), *reason = error->text;
  if (starts_with(reason, context)) reason += strlen(context);
  faults->count++;
  if (error->code > faults->code) faults->code = error->code;
  for (size_t i = 0; i < faults->kind_count; i++) {
    struct figure_fault *kind = &faults->kinds[i];
    if (strcmp(kind->reason, reason) != 0) continue;
    kind->names = arena_format(faults->arena, "%s, %s", kind->names, name);
    return kind->reason;
  }
  faults->kinds =
      arena_grow(faults->arena, faults->kinds, faults->kind_count, faults->kind_count + 1, sizeof *faults->kinds);
  faults->kinds[faults->kind_count] =
      (struct figure_fault){arena_string(faults->arena, name), arena_string(faults->arena, reason)};
  return faults->kinds[faults->kind_count++].reason;
}

bool figure_faults_end(const struct figure_faults *faults, struct error *error) {
  if (!faults->count) return true;
  error_set(error, faults->code,
            faults->count == 1 ? "1 figure is not drawn: " : "%zu figures are not drawn: ", faults->count);
  for (size_t i = 0; i < faults->kind_count; i++)
    error_add(error, "%s%s: %s", i ? "; " : "", faults->kinds[i].names, faults->kinds[i].reason);
  return false;
}
