// Specs beside what they give: errors/NAME.yaml with the exact diagnostics, expand/NAME.yaml with the exact list of
// runs. Lines "# --set PATH=VALUE" at the head of a spec are overrides. With ISOLOSS_UPDATE_EXPECTED=1 the expected
// files are written anew (then read the difference).
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/plan/grid.h"
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"
#include "tests/check.h"

static const char *const laws[] = {"chinchilla", "power-sum"};
static const char *const plots[] = {"loss-curves", "loss-vs-tokens"};

static const char *current;  // the spec under test

static void print_value(FILE *out, const struct run_config *config, const struct run_field *field) {
  char number[32];
  struct value value = field_get(config, field);
  fprintf(out, "%s=", field->path);
  if (value.kind == VALUE_MISSING) {
    fputs("auto", out);
  } else if (value.kind == VALUE_TEXT) {
    fputs(value.text, out);
  } else if (value.kind == VALUE_BOOLEAN) {
    fputs(value.number != 0 ? "true" : "false", out);
  } else {
    number_shortest(value.number, number);
    fputs(number, out);
  }
  fputc(' ', out);
}

static void print_plan(FILE *out, const struct plan *plan) {
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    plan_run(plan, i, &run);
    for (size_t a = 0; a < plan->axis_count; a++) print_value(out, &run.config, plan->axes[a].field);
    if (run.resolved)
      fprintf(out, "| N %lld, total %lld, D %lld, steps %lld\n", (long long)run.quantities.parameters.non_embedding,
              (long long)run.quantities.parameters.total, (long long)run.quantities.tokens,
              (long long)run.quantities.steps);
    else
      fputs("| not resolved\n", out);
    CHECK((*run.id != '\0') == (run.id_reason == NULL));
  }
  fprintf(out, "%zu runs of %zu combinations, %zu filtered, %zu united, %zu undecided\n", plan->count,
          plan->combinations, plan->filtered, plan->united, plan->undecided);
}

// Folders that a spec names are told with their whole path: without the part that is this machine's.
static void cut_place(char *text) {
  char here[PATH_MAX];
  if (!getcwd(here, sizeof here)) return;
  size_t length = strlen(here);
  for (char *at; (at = strstr(text, here));) memmove(at, at + length + 1, strlen(at + length + 1) + 1);
}

// What isoloss says about the spec: diagnostics, then the error or the runs.
static char *outcome_of(const char *path) {
  struct arena arena = {0};
  struct error error = {0};
  struct diagnostics diagnostics = {0};
  struct spec spec;
  struct plan plan = {0};
  char *bytes = NULL, *source = file_read(&arena, path, NULL, &error);
  size_t length;
  const char *overrides[16];
  struct spec_options options = {.laws = laws, .law_count = 2, .plots = plots, .plot_count = 2, .overrides = overrides};
  for (char *line = source; line && starts_with(line, "# "); line = strchr(line, '\n') + 1) {
    if (starts_with(line, "# --preset ")) options.preset = arena_copy(&arena, line + 11, strcspn(line + 11, "\n"));
    if (!starts_with(line, "# --set ") || options.override_count == 16) continue;
    overrides[options.override_count++] = arena_copy(&arena, line + 8, strcspn(line + 8, "\n"));
  }
  FILE *out = open_memstream(&bytes, &length);
  bool fine = spec_load(&spec, path, &options, &diagnostics, &error);
  if (fine)
    fine = plan_make(&plan, &spec, &(struct plan_options){.dtype = "float32"}, &diagnostics, &error);
  else
    plan_check(&spec, &diagnostics);
  diagnostics_print(&diagnostics, out, false);
  if (fine)
    print_plan(out, &plan);
  else
    fprintf(out, "errors: %zu, exit code %d\n", diagnostics.errors, error.code);
  fclose(out);
  plan_free(&plan);
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  cut_place(bytes);
  return bytes;
}

static void golden(void) {
  struct arena arena = {0};
  struct error error = {0};
  char *got = outcome_of(current);
  char *expected_path = arena_format(&arena, "%.*s.expected", (int)strlen(current) - 5, current);
  if (getenv("ISOLOSS_UPDATE_EXPECTED")) CHECK(file_write_atomic(expected_path, got, strlen(got), &error));
  char *want = file_read(&arena, expected_path, NULL, &error);
  CHECK_TEXT(got, want ? want : error.text);
  free(got);
  arena_free(&arena);
}

static int is_spec(const struct dirent *entry) { return ends_with(entry->d_name, ".yaml"); }

int main(int argc, char **argv) {
  if (argc < 2 || chdir(argv[1]) != 0) {
    printf("Bail out! no folder %s\n", argc < 2 ? "given" : argv[1]);
    return 1;
  }
  struct dirent **entries;
  int count = scandir(".", &entries, is_spec, alphasort);
  for (int i = 0; i < count; i++) {
    current = entries[i]->d_name;
    check_run(golden, current);
    free(entries[i]);
  }
  free(entries);
  if (count < 10) {
    printf("Bail out! only %d specs in %s\n", count, argv[1]);
    return 1;
  }
  return check_end();
}
