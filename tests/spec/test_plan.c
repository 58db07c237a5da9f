// Plans: a million runs in little memory, identities, corpora, the JSON contract.
#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "results/store.h"
#include "runner/plan/grid.h"
#include "runner/plan/plan.h"
#include "runner/plan/print.h"
#include "runner/spec/names.h"
#include "tests/check.h"

static char scratch[] = "/tmp/isoloss-plan-XXXXXX";

struct made {
  struct spec spec;
  struct plan plan;
  struct diagnostics diagnostics;
  struct error error;
  bool fine;
};

static void make(struct made *made, const char *text, bool prepare) {
  *made = (struct made){0};
  made->fine = spec_parse(&made->spec, "t.yaml", text, strlen(text), NULL, &made->diagnostics, &made->error) &&
               plan_make(&made->plan, &made->spec, &(struct plan_options){.prepare = prepare, .dtype = "float32"},
                         &made->diagnostics, &made->error);
  diagnostics_print(&made->diagnostics, stderr, false);
}

static void drop(struct made *made) {
  plan_free(&made->plan);
  spec_free(&made->spec);
  diagnostics_free(&made->diagnostics);
}

#define SMALL "corpus: {source: markov2}\nbase: {model: {context: 16, layers: 1}, train: {batch_tokens: 256}}\n"

static void million_runs(void) {
  struct made made;
  make(&made,
       SMALL
       "sweep:\n"
       "  grid:\n"
       "    model.width: {range: [16, 1600, 16]}\n"
       "    model.layers: {range: [1, 20]}\n"
       "    train.lr: {log: [1e-3, 1e-1, 10]}\n"
       "    train.steps: {range: [1, 50]}\n"
       "  set: {train.weight_decay: \"0.1 / (1 + parameters / 1e6)\"}\n"
       "  where: steps <= 50 and parameters > 10\n",
       false);
  CHECK(made.fine && made.plan.count == 1000000);
  struct planned_run run;
  // The last axis is the fastest: run 123456 is the 12th width, the 7th number of layers, the 10th rate, 7 steps.
  plan_run(&made.plan, 123456, &run);
  CHECK(run.number == 123456 && run.config.model.width == 16 * 13 && run.config.model.layers == 7);
  CHECK(run.config.train.lr == 0.1 && run.config.train.steps == 7);
  CHECK_NEAR(run.config.train.weight_decay, 0.1 / (1 + (double)run.quantities.parameters.non_embedding / 1e6), 1e-12);
  CHECK(strlen(run.id) == DIGEST_LENGTH);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  // A fifth of the gigabyte that the plan may take; ru_maxrss is in KiB.
  if (!CHECK(usage.ru_maxrss < 200 << 10)) printf("# %ld MiB\n", usage.ru_maxrss >> 10);
  drop(&made);
}

static void same_again(void) {
  static const char text[] = SMALL
      "sweep:\n  - grid: {model.width: [32, 64], seed: [1, 2]}\n    zip: {train.lr: [1e-3, 2e-3], train.beta1: [0.9, "
      "0.8]}\n  - grid: {seed: [1, 7]}\n";
  struct made a, b;
  make(&a, text, false);
  make(&b, text, false);
  if (!CHECK(a.fine && b.fine && a.plan.count == b.plan.count && a.plan.count == 10)) return;
  for (size_t i = 0; i < a.plan.count; i++) {
    struct planned_run x, y, quick;
    plan_run(&a.plan, i, &x);
    plan_run(&b.plan, i, &y);
    plan_run_quick(&b.plan, i, &quick);
    CHECK_TEXT(x.id, y.id);
    CHECK(quick.quantities.flops == x.quantities.flops && quick.config.seed == x.config.seed);
    for (size_t j = 0; j < i; j++) {
      plan_run(&a.plan, j, &y);
      CHECK(strcmp(x.id, y.id) != 0);
    }
  }
  drop(&a);
  drop(&b);
}

// Which fields count differs from run to run: one's value is not taken for another's.
static void values_of_other_fields(void) {
  struct made made;
  make(&made, SMALL "sweep: {grid: {train.first_moment: [none, int8-g16], train.second_moment: [none, int8-g16]}}\n",
       false);
  if (!CHECK(made.fine && made.plan.count == 4)) return;
  for (size_t i = 0; i < made.plan.count; i++)
    for (size_t j = 0; j < i; j++) {
      struct planned_run x, y;
      plan_run(&made.plan, i, &x);
      plan_run(&made.plan, j, &y);
      CHECK(strcmp(x.id, y.id) != 0);
    }
  drop(&made);
}

// The id of a spec's only run, in a buffer of its own.
static const char *id_of(const char *text) {
  static char ids[8][40];
  static int next;
  char *id = ids[next++ % 8];
  struct made made;
  make(&made, text, false);
  id[0] = '\0';
  if (CHECK(made.fine && made.plan.count == 1)) {
    struct planned_run run;
    plan_run(&made.plan, 0, &run);
    snprintf(id, 40, "%s", run.id);
  }
  drop(&made);
  return id;
}

static void identity(void) {
  const char *plain = id_of(SMALL);
  CHECK(strlen(plain) == DIGEST_LENGTH);
  CHECK_TEXT(id_of("# a comment\nexperiment: another\nabout: words\n" SMALL), plain);
  CHECK_TEXT(id_of(SMALL "sweep: {grid: {train.lr: 3e-3, model.heads: auto, train.threads: 2}}"), plain);
  CHECK_TEXT(id_of(SMALL "sweep: {set: {train.lr: 0.001 * 3}}"), plain);
  CHECK(strcmp(id_of(SMALL "sweep: {grid: {seed: 1}}"), plain) != 0);
  CHECK(strcmp(id_of(SMALL "sweep: {grid: {corpus.seed: 1}}"), plain) != 0);
  const char *own = id_of(SMALL "trainer: {command: [a, b]}");
  CHECK(strcmp(own, plain) != 0);
  CHECK(strcmp(id_of(SMALL "trainer: {command: [a, c]}"), own) != 0);
  CHECK(strcmp(id_of(SMALL "trainer: {command: [a, b], version: 2}"), own) != 0);
  CHECK_TEXT(id_of("trainer: {command: [a, b]}\n" SMALL), own);
  // Without a corpus of the spec's a foreign trainer brings its own: nothing is prepared, and there is an id.
  CHECK(strlen(id_of("trainer: {command: [a, b]}")) == DIGEST_LENGTH);
}

static void corpora_are_prepared(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct text text = {0};
  for (int i = 0; i < 3000; i++) text_format(&text, "Document %d says little.\n\n\n", i * 7919 % 3001);
  char *file = path_join(&arena, scratch, "words.txt");
  CHECK(file_write_atomic(file, text.bytes, text.length, &error));
  text_clear(&text);
  text_format(&text,
              "corpus: {files: [%s]}\nbase: {model: {context: 16, layers: 1, width: 32}, train: {batch_tokens: 256}}\n"
              "sweep: {grid: {train.steps: [10, 100, 1000]}, where: epochs <= 1}\n",
              file);
  struct made made;
  struct planned_run run;
  make(&made, text_string(&text), false);
  CHECK(made.fine && made.plan.count == 3 && made.plan.undecided == 3);
  plan_run(&made.plan, 0, &run);
  CHECK_TEXT(run.id, "");
  CHECK(run.id_reason && run.resolved && isnan(run.quantities.epochs));
  drop(&made);
  make(&made, text_string(&text), true);
  CHECK(made.fine && made.plan.count == 2 && made.plan.filtered == 1 && made.plan.undecided == 0);
  plan_run(&made.plan, 1, &run);
  CHECK(strlen(run.id) == DIGEST_LENGTH && !run.id_reason && run.quantities.epochs > 0 && *run.corpus->folder);
  CHECK(run.config.model.vocabulary == 257);
  drop(&made);
  text_free(&text);
  arena_free(&arena);
}

static void json_contract(void) {
  struct made made;
  struct error error = {0};
  make(&made, SMALL "sweep: {grid: {model.width: [32, 64]}, set: {train.lr: 1 / model.width}}", false);
  char *bytes = NULL;
  size_t length;
  FILE *out = open_memstream(&bytes, &length);
  CHECK(plan_print_json(&made.plan, NULL, out, &error));
  fclose(out);
  json_t *root = json_loads(bytes, 0, NULL);
  if (CHECK(json_is_array(root) && json_array_size(root) == 2)) {
    json_t *run = json_array_get(root, 1);
    static const char *const numbers[] = {"parameters", "parameters_total", "tokens", "flops", "flops_6nd", "seed"};
    for (size_t i = 0; i < 6; i++) CHECK(json_is_number(json_object_get(run, numbers[i])));
    static const char *const unknown[] = {"loss", "bits_per_byte", "wall_seconds"};
    for (size_t i = 0; i < 3; i++) CHECK(json_is_null(json_object_get(run, unknown[i])));
    CHECK_TEXT(json_string_value(json_object_get(run, "state")), "pending");
    CHECK_TEXT(json_string_value(json_object_get(run, "format")), "none");
    CHECK(json_string_length(json_object_get(run, "id")) == DIGEST_LENGTH);
    CHECK(json_number_value(json_object_get(run, "train.lr")) == 0.015625);
    for (size_t i = 0; i < run_field_count; i++) CHECK(json_object_get(run, run_fields[i].path) != NULL);
    // 32 wide and one layer: 4 * 32^2 + 3 * 32 * 96 + 3 * 32
    CHECK(json_integer_value(json_object_get(json_array_get(root, 0), "parameters")) == 13408);
  }
  json_decref(root);
  free(bytes);
  drop(&made);
}

// Every column of the store can be named in a fit's expressions, and no name there is made up.
static void names_match_the_store(void) {
  struct error error = {0};
  struct store *store = store_open(":memory:", STORE_CREATE, &error);
  if (!CHECK(store)) return;
  int count;
  const char *const *columns = store_run_columns(store, &count);
  for (int i = 0; i < count; i++) {
    struct run_name found;
    if (!CHECK(run_name_find(NULL, columns[i], &found) != run_result_known(NULL, columns[i])))
      printf("# the store's column %s\n", columns[i]);
  }
  for (size_t j = 0; j < run_column_count; j++) {
    bool there = false, result = run_result_known(NULL, run_columns[j].name);
    for (int i = 0; i < count; i++) there |= strcmp(run_columns[j].name, columns[i]) == 0;
    if (!CHECK(there || !result)) printf("# the name %s\n", run_columns[j].name);
  }
  CHECK(run_result_known(NULL, "loss") && !run_result_known(NULL, "canonical") && !run_result_known(NULL, "tokens"));
  CHECK_TEXT(run_name_nearest(NULL, "los", true), "loss");
  store_close(store);
}

int main(int argc, char **argv) {
  if (!mkdtemp(scratch)) return 1;
  char path[64];
  snprintf(path, sizeof path, "%s/cache", scratch);
  setenv("XDG_CACHE_HOME", path, 1);
  setenv("ISOLOSS_HOME", scratch, 1);
  RUN(million_runs);
  RUN(same_again);
  RUN(values_of_other_fields);
  RUN(identity);
  RUN(corpora_are_prepared);
  RUN(json_contract);
  RUN(names_match_the_store);
  struct error ignored = {0};
  folder_remove(scratch, &ignored);
  return check_end();
}
