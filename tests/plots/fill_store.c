// Fills the store of $ISOLOSS_HOME with made-up runs of an experiment, for tests of reports: fill-store KIND EXPERIMENT
// SPEC.
//   plain       sizes x tokens, all done, with a fit     pending   the same, nothing has run
//   failed      all failed or diverged                   partly    some of each, and a fit of the rest
//   synthetic   zipfmem with a known irreducible loss    mixed     two data types and several formats
//   rates       learning rates at two sizes, the largest one diverges
//   hostile     names and messages full of markup
// The experiment is described by the file SPEC, whose text is kept as it is; LAWS is the folder of the laws that ship.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "results/store.h"

static const struct { double a, alpha, b, beta, e; } law = {28, 0.36, 46, 0.33, 0.9};

struct filler {
  const char *kind, *name, *laws;
  struct store *store;
  struct arena arena;
  const char *ids[256], *formats[256];
  double sizes[256], tokens[256], losses[256];
  bool held_out[256];
  size_t count;
};

static void stop(const struct error *error) {
  fprintf(stderr, "fill-store: %s\n", error->text);
  exit(3);
}

static void set(struct filler *f, struct run_config *config, const char *path, const char *value) {
  struct error error = {0};
  const struct run_field *field = field_find(path, NULL);
  if (!field || !config_set(config, field, value, &f->arena, &error)) {
    if (!field) error_set(&error, EXIT_USAGE_ERROR, "no field %s", path);
    stop(&error);
  }
}

static bool is(const struct filler *f, const char *kind) { return strcmp(f->kind, kind) == 0; }

static double noise(size_t n) {
  double pair[2];
  random_normal_pair(11, RANDOM_STREAM_NOISE, 0, n, pair);
  return 1 + 0.004 * pair[0];
}

static void put_curve(struct filler *f, const char *id, double tokens, double batch, double parameters,
                      struct error *error) {
  for (int k = 0; k < 20; k++) {
    double at = batch * 4 * pow(tokens / (batch * 4), k / 19.0);
    struct metric metric = {.kind = METRIC_EVAL,
                            .step = (int64_t)(at / batch),
                            .tokens = at,
                            .lr = NAN,
                            .seconds = NAN,
                            .gradient_norm = NAN,
                            .tokens_per_second = NAN,
                            .oracle_loss = NAN,
                            .active_parameters = NAN};
    metric.loss = law.e + law.a * pow(parameters, -law.alpha) + law.b * pow(at, -law.beta) + 2 * exp(-k / 3.0);
    if (!store_metric_put(f->store, id, &metric, error)) stop(error);
  }
}

static void add_run(struct filler *f, const char *width, const char *tokens, const char *format, const char *dtype,
                    const char *rate) {
  struct error error = {0};
  struct run_config config;
  bool synthetic = is(f, "synthetic");
  struct corpus_facts facts = {.known = true,
                               .digest = "0123456789abcdef0123456789abcdef",
                               .vocabulary = 257,
                               .train_tokens = 38000000,
                               .validation_tokens = 400000,
                               .bytes_per_token = 1,
                               .targets_per_token = 1,
                               .irreducible_loss = NAN};
  if (synthetic) {
    facts.bytes_per_token = NAN;
    facts.irreducible_loss = 0.7394;
  }
  config_default(&config);
  set(f, &config, "corpus.source", synthetic ? "zipfmem" : "gcide");
  set(f, &config, "model.layers", "2");
  set(f, &config, "model.width", width);
  set(f, &config, "train.tokens", tokens);
  set(f, &config, "format", format);
  if (rate) set(f, &config, "train.lr", rate);
  if (!config_resolve(&config, &facts, dtype, &error)) stop(&error);
  struct run_record record = {
      .stage = "train", .config = &config, .corpus = facts, .quantities = config_quantities(&config, &facts)};
  struct digest digest = config_identity(&config, facts.digest, "train", "");
  char *id = arena_string(&f->arena, digest.hex);
  record.id = id;
  if (!store_run_add(f->store, &record, &error)) stop(&error);
  size_t n = f->count;
  f->ids[f->count++] = id;
  f->losses[n] = NAN;
  if (is(f, "pending")) return;
  double size = (double)record.quantities.parameters.non_embedding, seen = (double)config.train.tokens;
  double eff = strcmp(format, "none") == 0 ? 1 : 0.5;
  double loss = law.e + law.a * pow(size * eff, -law.alpha) + law.b * pow(seen, -law.beta);
  // A synthetic source whose loss falls faster at first than the law knows, as real ones do.
  if (synthetic) loss = 0.7509 + 30 * pow(size, -0.5) + 8 * pow(seen, -1.0 / 3) + 8e4 / seen;
  loss *= noise(n);
  // The best rate of the made-up sweep is 4e-3; the largest one diverges.
  if (rate) loss *= 1 + 0.05 * pow(log(config.train.lr / 4e-3), 2);
  const char *state = "done", *message = NULL;
  if (is(f, "failed") || (is(f, "partly") && n % 5 == 1)) {
    state = n % 2 ? "failed" : "diverged";
    message = n % 2 ? "worker ended with signal 9 (killed) three times" : "the loss is not finite at step 812";
  }
  if (is(f, "rates") && config.train.lr > 0.01) {
    state = "diverged";
    message = "the loss is not finite";
  }
  if (is(f, "hostile")) message = "<script>alert('x')</script> & \"quotes\" \x01 \xff broken";
  if (is(f, "hostile") && n == 2) state = "failed";
  bool done = strcmp(state, "done") == 0;
  struct store_field fields[] = {
      {"state", store_text(state)},
      {"message", store_text(message)},
      {"loss", store_number(done ? loss : NAN)},
      {"bits_per_byte", store_number(done && !synthetic ? loss / log(2) : NAN)},
      {"oracle_loss", store_number(synthetic ? 0.7509 : NAN)},
      {"step", store_number(done ? (double)config.train.steps : 812)},
      {"wall_seconds", store_number(6 * size * seen / 4e9)},
      {"tokens_per_second", store_number(4e9 / 6 / size)},
      {"backend", store_text("cpu")},
      {"dtype", store_text(dtype)},
      {"gemm", store_text("oneDNN 2.6.3")},
      {"kernel", store_text("brgemm:avx512_core")},
      {"isa", store_text("avx512")},
      {"threads", store_number(1)},
      {"host", store_text(is(f, "hostile") ? "<b>host</b>" : "laptop")},
      {"trainer", store_text("isoloss-train 0.1.0")},
      {"commit_id", store_text("e1f6bc0")},
      {"finished_at", store_number(1000)},
  };
  if (!store_run_update(f->store, id, fields, sizeof fields / sizeof *fields, &error)) stop(&error);
  put_curve(f, id, seen, (double)config.train.batch_tokens, size, &error);
  f->sizes[n] = size;
  f->tokens[n] = seen;
  f->formats[n] = format;
  f->losses[n] = done ? loss : NAN;
  f->held_out[n] = is(f, "plain") && config.model.width == 128;
}

// Fits the law that the shipped file describes, as `isoloss fit` would, and keeps the document.
static void put_fit(struct filler *f, const char *law_name) {
  struct error error = {0};
  struct diagnostics diagnostics = {0};
  struct law fitted = {0};
  struct fit_result result = {0};
  struct table table;
  table_init(&table, "made-up runs", f->count);
  size_t parameters = table_add_number(&table, "parameters", ROLE_QUANTITY),
         tokens = table_add_number(&table, "tokens", ROLE_QUANTITY),
         loss = table_add_number(&table, "loss", ROLE_OUTCOME), test = table_add_number(&table, "test", ROLE_SETTING),
         format = table_add_category(&table, "format", ROLE_SETTING);
  for (size_t i = 0; i < f->count; i++) {
    table_name_row(&table, i, f->ids[i]);
    table.columns[parameters].numbers[i] = f->sizes[i];
    table.columns[tokens].numbers[i] = f->tokens[i];
    table.columns[loss].numbers[i] = f->losses[i];
    table.columns[test].numbers[i] = f->held_out[i];
    table_set_category(&table, format, i, f->formats[i]);
  }
  struct fit_options options = {.holdout = "test == 1",
                                .parameter_count = "non-embedding",
                                .bootstrap = 100,
                                .profile_all = true,
                                .leave_out = (const char *const[]){"tokens"},
                                .leave_out_count = 1};
  if (!law_load(&fitted, arena_format(&f->arena, "%s/%s.yaml", f->laws, law_name), &diagnostics, &error) ||
      !fit_run(&fitted, &table, &options, &result, &error))
    stop(&error);
  struct text document = {0};
  struct json_writer json = json_writer(&document, false);
  fit_result_json(&result, &json);
  if (!store_fit_put(f->store, f->name, result.name, result.law, text_string(&document), &error)) stop(&error);
  text_free(&document);
  diagnostics_free(&diagnostics);
  fit_result_free(&result);
  law_free(&fitted);
  table_free(&table);
}

int main(int argc, char **argv) {
  fitting_start();
  struct filler f = {0};
  struct error error = {0};
  if (argc != 5) {
    fprintf(stderr, "usage: fill-store KIND EXPERIMENT SPEC LAWS\n");
    return 2;
  }
  f.kind = argv[1];
  f.name = argv[2];
  f.laws = argv[4];
  const char *spec = file_read(&f.arena, argv[3], NULL, &error);
  if (!spec || !(f.store = store_open_home(STORE_CREATE, &error))) stop(&error);
  bool hostile = is(&f, "hostile");
  if (!store_experiment_put(f.store,
                            &(struct experiment_record){.name = f.name,
                                                        .spec_path = argv[3],
                                                        .spec_text = spec,
                                                        .about = hostile ? "<img src=x onerror=alert(1)> & 'more'"
                                                                         : "Made-up runs that follow a law."},
                            &error))
    stop(&error);
  static const char *const widths[] = {"32", "64", "96", "128"}, *const tokens[] = {"1e6", "2e6", "4e6"};
  static const char *const formats[] = {"none", "w4a4"};
  static const char *const rates[] = {"1e-3", "2e-3", "4e-3", "1.6e-2"};
  if (is(&f, "rates")) {
    for (int w = 0; w < 2; w++)
      for (int r = 0; r < 4; r++) add_run(&f, widths[w], tokens[0], "none", "float32", rates[r]);
  } else {
    for (int format = 0; format < (is(&f, "mixed") ? 2 : 1); format++)
      for (int w = 0; w < 4; w++)
        for (int t = 0; t < 3; t++)
          add_run(&f, widths[w], tokens[t], formats[format], is(&f, "mixed") && w > 1 ? "bfloat16" : "float32", NULL);
  }
  if (!store_experiment_set_runs(f.store, f.name, f.ids, f.count, &error)) stop(&error);
  if (!is(&f, "pending") && !is(&f, "failed") && !is(&f, "rates")) put_fit(&f, "chinchilla");
  if (is(&f, "mixed")) put_fit(&f, "effective-parameters");
  if (hostile) {
    struct claim_record claims[] = {{"a < b & c > \"d\"", "not held", "<i>numbers</i>"}};
    if (!store_claims_set(f.store, f.name, claims, 1, &error)) stop(&error);
  }
  store_close(f.store);
  arena_free(&f.arena);
  return 0;
}
