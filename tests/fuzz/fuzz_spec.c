// One input of any bytes through the whole of spec reading: document, spec, grid (small ones), and what is said about
// it. Nothing may crash, hang, or print a place outside the input.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/grid.h"
#include "runner/plan/plan.h"
#include "runner/spec/spec.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_COMBINATIONS = 2000 };

static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "spec fuzz: %s\n", what);
  abort();
}

// Facts of a corpus, without a disk: every source is unknown but one.
static bool find_corpus(void *context, const struct run_config *config, struct plan_corpus *corpus,
                        struct error *error) {
  if (strcmp(config->corpus.source, "refused") == 0)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.source: there is no source 'refused'");
  if (strcmp(config->corpus.source, "markov2") != 0) return true;
  corpus->facts = (struct corpus_facts){.known = true,
                                        .vocabulary = 64,
                                        .train_tokens = 1 << 20,
                                        .validation_tokens = 1 << 16,
                                        .bytes_per_token = 1,
                                        .targets_per_token = 1,
                                        .irreducible_loss = 1.5};
  corpus->reason = NULL;
  return true;
}

static void expand(const struct spec *spec, struct diagnostics *diagnostics) {
  double combinations = 0;
  for (size_t s = 0; s < spec->sweep_count; s++) {
    double product = 1;
    for (size_t g = 0; g < spec->sweeps[s].group_count; g++) product *= (double)spec->sweeps[s].groups[g].count;
    combinations += product;
  }
  if (combinations > MOST_COMBINATIONS) return;
  struct plan plan = {.spec = spec, .dtype = "float32"};
  struct error error = {0};
  plan.grid = arena_alloc(&plan.arena, sizeof *plan.grid);
  *plan.grid = (struct run_grid){.arena = &plan.arena, .spec = spec, .dtype = plan.dtype, .find_corpus = find_corpus};
  bool fine = grid_expand(plan.grid, &plan, diagnostics, &error);
  for (size_t i = 0; fine && i < plan.count; i++) {
    const struct plan_record *record = &plan.records[i];
    struct grid_result run;
    struct grid_problem problem;
    require(grid_evaluate(plan.grid, record->sweep, record->combination, &run, &problem) == GRID_RUN,
            "a run that cannot be made again");
    require(!run.resolved || spec->task || (run.quantities.steps >= 1 && run.quantities.parameters.non_embedding >= 1),
            "a resolved run without steps or parameters");
  }
  arena_free(&plan.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const laws[] = {"chinchilla"};
  static const char *const plots[] = {"loss-curves"};
  struct spec_options options = {.laws = laws, .law_count = 1, .plots = plots, .plot_count = 1};
  if (size && data[size - 1] == '#') options.preset = "small";
  struct spec spec = {0};
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  char *bytes = fuzz_text(data, size);
  bool fine = spec_parse(&spec, "fuzz.yaml", bytes, size, &options, &diagnostics, &error);
  require(fine == (diagnostics.errors == 0), "an error without a diagnostic, or the other way round");
  require(fine || error.code == EXIT_USAGE_ERROR, "a bad spec is a usage error");
  if (spec.root && spec.base_fine) expand(&spec, &diagnostics);
  size_t lines = 1;
  for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n' || bytes[i] == '\r' || (data[i] & 0x80);
  for (size_t i = 0; i < diagnostics.count; i++) {
    const struct diagnostic *d = &diagnostics.items[i];
    require(*d->message && d->line >= 0 && d->column >= 0, "a diagnostic without words or place");
    bool inside = (size_t)d->line <= lines && (size_t)d->column <= size + 1;
    if (!inside) fprintf(stderr, "%d:%d %s\n", d->line, d->column, d->message);
    require(inside, "a place outside the file");
  }
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  free(bytes);
  return 0;
}
