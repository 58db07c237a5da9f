// The store: what is written comes back, queries, readers and writers at once.
#include "tests/results/store_test.h"

static void keeps_runs(void) {
  struct error error = {0};
  struct store *store = fresh("runs.db");
  const char *id = add_run(store, 1, 64);
  CHECK_TEXT(add_run(store, 1, 64), id);
  CHECK(set(store, id, "loss", store_number(1.25)));
  CHECK(set(store, id, "state", store_text("done")));
  CHECK(!set(store, id, "no_such_column", store_number(1)));
  CHECK(!set(store, id, "id", store_text("x")));
  CHECK(!set(store, id, "state", store_text("nonsense")));
  store_close(store);

  store = store_open(file_of("runs.db"), STORE_READ, &error);
  struct store_rows *rows = store_run(store, id, &error);
  struct run_config config = make_config(1, 64);
  CHECK(rows != NULL);
  CHECK_TEXT(store_rows_get(rows, "id").text, id);
  CHECK_NEAR(store_rows_get(rows, "loss").number, 1.25, 0);
  CHECK_NEAR(store_rows_get(rows, "parameters").number, (double)config_parameters(&config).non_embedding, 0);
  CHECK_NEAR(store_rows_get(rows, "epochs").number, 0.4096, 1e-12);
  CHECK_NEAR(store_rows_get(rows, "tokens_per_parameter").number,
             409600.0 / (double)config_parameters(&config).non_embedding, 1e-12);
  CHECK(store_rows_get(rows, "targets").kind == VALUE_MISSING);
  CHECK(store_rows_get(rows, "nothing").kind == VALUE_MISSING);
  // Every field comes back as it was, under its path.
  for (size_t i = 0; i < run_field_count; i++) {
    struct value want = field_get(&config, &run_fields[i]), got = store_rows_get(rows, run_fields[i].path);
    CHECK(got.kind == want.kind);
    if (want.kind == VALUE_TEXT)
      CHECK_TEXT(got.text, want.text);
    else if (want.kind != VALUE_MISSING)
      CHECK_NEAR(got.number, want.number, 0);
  }
  CHECK(!store_rows_next(rows, &error));
  store_rows_close(rows);
  store_close(store);
}

static void filters_and_sorts(void) {
  struct error error = {0};
  struct store *store = fresh("filter.db");
  const char *ids[4];
  for (int i = 0; i < 4; i++) ids[i] = add_run(store, i, i < 2 ? 64 : 128);
  set(store, ids[0], "loss", store_number(2));
  set(store, ids[1], "loss", store_number(3));
  set(store, ids[2], "loss", store_number(1));
  set(store, ids[1], "state", store_text("done"));
  struct {
    const char *where;
    int rows;
  } const cases[] = {
      {"loss < 2.5", 2},
      {"loss > 0", 3},  // a missing number compares as false
      {"not (loss > 0)", 1},
      {"N > 100000 and seed == 2", 1},
      {"parameters < 3e5 or loss == 1", 3},
      {"model.width == 128", 2},
      {"state == \"done\"", 1},
      {"message == \"\"", 4},  // a missing text is empty
      {"seed in [1, 3]", 2},
      {"D / N > 1", 2},
      {"not model.tied_head", 4},
      {"format == \"none\"", 4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct run_query query = {.where = cases[i].where};
    int rows = count_rows(store_runs(store, &query, &error));
    if (rows != cases[i].rows) printf("# %s: %d rows\n", cases[i].where, rows);
    CHECK(rows == cases[i].rows);
    CHECK_TEXT(error.text, "");
  }
  struct run_query sorted = {.sort = "-loss", .limit = 2};
  struct store_rows *rows = store_runs(store, &sorted, &error);
  CHECK(store_rows_next(rows, &error) && store_rows_get(rows, "loss").number == 3);
  CHECK(store_rows_next(rows, &error) && store_rows_get(rows, "loss").number == 2);
  CHECK(!store_rows_next(rows, &error));
  store_rows_close(rows);
  rows = store_runs(store, &(struct run_query){.sort = "loss"}, &error);
  CHECK(store_rows_next(rows, &error) && store_rows_get(rows, "loss").number == 1);
  store_rows_close(rows);
  CHECK(count_rows(store_runs(store, &(struct run_query){.state = "done"}, &error)) == 1);

  CHECK(!store_runs(store, &(struct run_query){.where = "los < 3"}, &error));
  CHECK(strstr(error.text, "did you mean 'loss'") && error.code == EXIT_USAGE_ERROR);
  error = (struct error){0};
  CHECK(!store_runs(store, &(struct run_query){.sort = "train.lrr"}, &error));
  CHECK(strstr(error.text, "did you mean 'train.lr'"));
  error = (struct error){0};
  CHECK(!store_runs(store, &(struct run_query){.where = "loss <"}, &error));
  CHECK(error.code == EXIT_USAGE_ERROR);
  store_close(store);
}

static void derives_columns(void) {
  struct error error = {0};
  struct store *store = fresh("derived.db");
  static const struct {
    const char *format, *forward, *backward;
    double weights, activations, gradients, sparsity;
  } cases[] = {
      {"none", "none", "none", 16, 16, 16, 0},
      {"w4a16", "w4", "none", 4, 16, 16, 0},
      {"w4a4", "w4a4", "none", 4, 4, 16, 0},
      {"w4a4g8", "w4a4", "g8", 4, 4, 8, 0},
      {"g(mxfp8)[requantize]", "none", "g(mxfp8)[requantize]", 16, 16, 8.25, 0},
      {"2:4", "2:4", "none", 9, 16, 16, 0.5},
      {"sparse(0.75,journey)", "sparse(0.75,journey)", "none", NAN, 16, 16, 0.75},
      {"somebody-elses", "missing", "missing", NAN, NAN, NAN, 0},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  const char *ids[CASES];
  for (int i = 0; i < CASES; i++) {
    ids[i] = add_run_of(store, i, 64, cases[i].format, 1000000);
    struct arena scratch = {0};
    const struct format *format = format_parse(cases[i].forward, &scratch, &(struct error){0});
    CHECK_TEXT(text_of(store, ids[i], "forward"), format ? format->name : "missing");
    format = format_parse(cases[i].backward, &scratch, &(struct error){0});
    CHECK_TEXT(text_of(store, ids[i], "backward"), format ? format->name : "missing");
    arena_free(&scratch);
    const char *columns[] = {"weight_bits", "activation_bits", "gradient_bits"};
    double wanted[] = {cases[i].weights, cases[i].activations, cases[i].gradients};
    for (int c = 0; c < 3; c++)
      if (!isnan(wanted[c])) CHECK_NEAR(number_of(store, ids[i], columns[c]), wanted[c], 1e-12);
    CHECK_NEAR(number_of(store, ids[i], "sparsity"), cases[i].sparsity, 1e-3);
    CHECK(isnan(number_of(store, ids[i], "gmse_weights")));
  }
  // Errors are measured once a format, by whoever can.
  size_t count;
  const char **names = store_formats_unmeasured(store, &arena, &count, &error);
  CHECK(count == CASES - 1);
  for (size_t i = 0; i < count; i++) CHECK(store_format_measured(store, names[i], (double[]){0.25, 0, 0.125}, &error));
  store_formats_unmeasured(store, &arena, &count, &error);
  CHECK(count == 0);
  CHECK_NEAR(number_of(store, ids[1], "gmse_weights"), 0.25, 0);
  CHECK_NEAR(number_of(store, ids[1], "gmse_activations"), 0, 0);
  CHECK_NEAR(number_of(store, ids[1], "gmse_gradients"), 0.125, 0);
  struct run_query query = {.where = "gmse_weights > 0.2 and forward == 'w4' and weight_bits < 8", .sort = "sparsity"};
  CHECK(count_rows(store_runs(store, &query, &error)) == 1);
  struct store_rows *rows = store_select(
      store, "SELECT count(*) FROM run_table WHERE gmse_weights = 0.25 AND backward = 'none'", NULL, 0, &error);
  CHECK(store_rows_next(rows, &error) && store_rows_value(rows, 0).number == 5);
  store_rows_close(rows);
  // 409600 tokens of 100000, of a million, and of a source that never repeats.
  CHECK_NEAR(number_of(store, add_run_of(store, 100, 64, "none", 100000), "unique_tokens"), 100000, 0);
  CHECK_NEAR(number_of(store, ids[0], "unique_tokens"), 409600, 0);
  CHECK_NEAR(number_of(store, add_run_of(store, 101, 64, "none", INT64_MAX), "unique_tokens"), 409600, 0);
  CHECK(!set(store, ids[0], "sparsity", store_number(1)) && !set(store, ids[0], "forward", store_text("x")));
  // What a transaction put in goes with it.
  CHECK(store_begin(store, &error));
  add_run_of(store, 200, 64, "w3", 1000000);
  store_rollback(store);
  CHECK_TEXT(text_of(store, add_run_of(store, 201, 64, "w3", 1000000), "forward"), "w3");
  CHECK_TEXT(error.text, "");
  // A plan's private store takes over what is known of formats.
  struct store *plan = store_open(":memory:", STORE_CREATE, &error);
  const char *planned = add_run_of(plan, 300, 64, "w4", 1000000);
  CHECK(store_overlay(plan, store, &error));
  CHECK_NEAR(number_of(plan, planned, "gmse_weights"), 0.25, 0);
  CHECK_TEXT(error.text, "");
  store_close(plan);
  store_close(store);
}

static void shares_runs(void) {
  struct error error = {0};
  struct store *store = fresh("share.db");
  const char *a = add_run(store, 1, 64), *b = add_run(store, 2, 64), *c = add_run(store, 3, 64);
  struct experiment_record one = {"one", "one.yaml", "text 1", NULL}, two = {"two", "two.yaml", "text 2", "about"};
  CHECK(store_experiment_put(store, &one, &error) && store_experiment_put(store, &two, &error));
  CHECK(store_experiment_set_runs(store, "one", (const char *[]){b, a}, 2, &error));
  CHECK(store_experiment_set_runs(store, "two", (const char *[]){c, b}, 2, &error));
  set(store, b, "state", store_text("done"));
  struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = "one"}, &error);
  CHECK(store_rows_next(rows, &error));
  CHECK_TEXT(store_rows_get(rows, "id").text, b);  // in the experiment's order
  store_rows_close(rows);
  rows = store_experiments(store, NULL, &error);
  for (int i = 0; i < 2; i++) {
    CHECK(store_rows_next(rows, &error));
    CHECK(store_rows_get(rows, "runs").number == 2 && store_rows_get(rows, "done").number == 1 &&
          store_rows_get(rows, "pending").number == 1);
  }
  store_rows_close(rows);
  // A run that leaves an experiment stays; one that an experiment names must exist.
  CHECK(store_experiment_set_runs(store, "one", (const char *[]){a}, 1, &error));
  CHECK(count_rows(store_runs(store, &(struct run_query){.experiment = "one"}, &error)) == 1);
  CHECK(count_rows(store_runs(store, &(struct run_query){0}, &error)) == 3);
  CHECK(!store_experiment_set_runs(store, "one", (const char *[]){a, "unknown"}, 2, &error));
  CHECK(count_rows(store_runs(store, &(struct run_query){.experiment = "one"}, &(struct error){0})) == 1);
  CHECK_TEXT(store_nearest_experiment(store, &arena, "tow"), "two");
  bool exists;
  CHECK(store_experiment_exists(store, "two", &exists, &(struct error){0}) && exists);
  CHECK(store_experiment_exists(store, "three", &exists, &(struct error){0}) && !exists);
  store_close(store);
}

static void finds_by_prefix(void) {
  struct error error = {0};
  struct store *store = fresh("prefix.db");
  const char *id = add_run(store, 1, 64);
  char twin[40];
  add_run(store, 2, 64);
  memcpy(twin, id, 33);
  twin[31] = twin[31] == '0' ? '1' : '0';
  struct value values[] = {store_text(twin), store_text(id)};
  CHECK_TEXT(store_run_find(store, &arena, arena_copy(&arena, id, 6), &error), id);
  sqlite3_stmt *s = store_statement(store,
                                    "INSERT INTO runs (id, stage, created_at, canonical, config) SELECT ?1, stage, 0, "
                                    "'', '{}' FROM runs WHERE id = ?2",
                                    &error);
  bind_text(s, 1, values[0].text);
  bind_text(s, 2, values[1].text);
  CHECK(store_step_done(store, s, "test", &error));
  CHECK(!store_run_find(store, &arena, arena_copy(&arena, id, 6), &error));
  CHECK(strstr(error.text, "several") && strstr(error.text, twin));
  error = (struct error){0};
  CHECK_TEXT(store_run_find(store, &arena, id, &error), id);
  CHECK(!store_run_find(store, &arena, "abc", &error) && error.code == EXIT_USAGE_ERROR);
  error = (struct error){0};
  CHECK(!store_run_find(store, &arena, "00000000", &error) && strstr(error.text, "no run"));
  error = (struct error){0};
  CHECK(!store_run_find(store, &arena, "'; DROP TABLE runs", &error));
  store_close(store);
}

static struct metric point(enum metric_kind kind, int64_t step, double loss) {
  return (struct metric){kind, step, 10.0 * (double)step, loss, NAN, NAN, NAN, NAN, NAN, NAN};
}

static void keeps_metrics(void) {
  struct error error = {0};
  struct store *store = fresh("metrics.db");
  const char *id = add_run(store, 1, 64);
  for (int round = 0; round < 2; round++)  // the second time changes nothing
    for (int64_t step = 1; step <= 10; step++) {
      struct metric train = point(METRIC_TRAIN, step, 5 - 0.1 * (double)step);
      CHECK(store_metric_put(store, id, &train, &error));
      struct metric eval = point(METRIC_EVAL, step, 5);
      if (step % 5 == 0) CHECK(store_metric_put(store, id, &eval, &error));
    }
  CHECK(count_rows(store_metrics(store, id, METRIC_TRAIN, &error)) == 10);
  CHECK(count_rows(store_metrics(store, id, METRIC_EVAL, &error)) == 2);
  CHECK(store_metrics_cut(store, id, 7, &error));
  CHECK(count_rows(store_metrics(store, id, METRIC_TRAIN, &error)) == 7);
  CHECK(count_rows(store_metrics(store, id, METRIC_EVAL, &error)) == 1);
  struct store_rows *rows = store_metrics(store, id, METRIC_TRAIN, &error);
  CHECK(store_rows_next(rows, &error));
  CHECK_NEAR(store_rows_get(rows, "loss").number, 4.9, 0);
  CHECK(store_rows_get(rows, "lr").kind == VALUE_MISSING);
  store_rows_close(rows);
  struct metric stray = point(METRIC_TRAIN, 1, 1);
  CHECK(!store_metric_put(store, "no such run", &stray, &error));
  store_close(store);
}

// The curves of an experiment come in the order of its runs, of which one without points still has its place.
static void gives_curves(void) {
  struct error error = {0};
  struct store *store = fresh("curves.db");
  const char *ids[3];
  for (int i = 0; i < 3; i++) ids[i] = add_run(store, i + 1, 64);
  const char *order[] = {ids[2], ids[0], ids[1]};
  CHECK(store_experiment_put(store, &(struct experiment_record){.name = "e", .spec_path = "e.yaml", .spec_text = ""},
                             &error));
  CHECK(store_experiment_set_runs(store, "e", order, 3, &error));
  for (int i = 1; i < 3; i++)
    for (int64_t step = 3; step >= 1; step--) {
      struct metric eval = point(METRIC_EVAL, step, 10 * i + (double)step), train = point(METRIC_TRAIN, step, 1);
      CHECK(store_metric_put(store, ids[i], &eval, &error) && store_metric_put(store, ids[i], &train, &error));
    }
  struct store_rows *rows = store_curves(store, "e", METRIC_EVAL, &error);
  static const double places[] = {0, 0, 0, 2, 2, 2}, losses[] = {21, 22, 23, 11, 12, 13};
  for (int i = 0; i < 6 && CHECK(store_rows_next(rows, &error)); i++) {
    CHECK_NEAR(store_rows_value(rows, 0).number, places[i], 0);
    CHECK_NEAR(store_rows_value(rows, 1).number, 10.0 * (i % 3 + 1), 0);
    CHECK_NEAR(store_rows_value(rows, 2).number, losses[i], 0);
  }
  CHECK(!store_rows_next(rows, &error));
  store_rows_close(rows);
  CHECK(count_rows(store_curves(store, "none", METRIC_EVAL, &error)) == 0);
  store_close(store);
}

static void keeps_records(void) {
  struct error error = {0};
  struct store *store = fresh("records.db");
  CHECK(store_fit_put(store, "exp", "main", "chinchilla", "{\"a\":1}", &error));
  CHECK(store_fit_put(store, "exp", "main", "chinchilla", "{\"a\":2}", &error));
  CHECK(store_fit_put(store, "table.csv", "main", "power-sum", "{}", &error));
  struct store_rows *rows = store_fits(store, "exp", &error);
  CHECK(store_rows_next(rows, &error));
  CHECK_TEXT(store_rows_get(rows, "document").text, "{\"a\":2}");
  CHECK(!store_rows_next(rows, &error));
  store_rows_close(rows);
  CHECK(count_rows(store_fits(store, NULL, &error)) == 2);
  struct claim_record claims[] = {{"a > b", "held", "1 > 0"}, {"c > d", "undecided", NULL}};
  CHECK(store_claims_set(store, "exp", claims, 2, &error) && store_claims_set(store, "exp", claims, 2, &error));
  CHECK(count_rows(store_claims(store, "exp", &error)) == 2);
  struct claim_record wrong = {"x", "maybe", NULL};
  CHECK(!store_claims_set(store, "exp", &wrong, 1, &error));
  error = (struct error){0};
  CHECK(count_rows(store_claims(store, "exp", &error)) == 2);  // the failed write left the old ones
  for (int round = 0; round < 2; round++) {
    CHECK(store_begin(store, &error) && store_import_begin(store, "t", "t.csv", "d", "{}", &error));
    for (int i = 0; i < 3; i++) CHECK(store_import_row(store, "t", i, "{\"parameters\":1}", &error));
    CHECK(store_commit(store, &error));
  }
  CHECK(count_rows(store_import_rows(store, "t", &error)) == 3);
  CHECK(store_benchmark_put(store, NULL, "ops", "[]", &error));
  CHECK(!store_select(store, "DELETE FROM fits", NULL, 0, &error));
  store_close(store);
}

static void estimates_speed(void) {
  struct error error = {0};
  struct store *store = fresh("speed.db");
  double speed = 0;
  struct run_config small = make_config(1, 64), large = make_config(1, 128);
  CHECK(!store_throughput_estimate(store, "cpu", &small, 1e6, &speed, &error));
  struct throughput a = {NULL, "cpu", "run", &small, 1e6, 1000}, b = {NULL, "cpu", "run", &large, 4e6, 500};
  CHECK(store_throughput_put(store, &a, &error) && store_throughput_put(store, &b, &error));
  CHECK(store_throughput_estimate(store, "cpu", &small, 1e6, &speed, &error));
  CHECK_NEAR(speed, 1000, 1e-9);
  CHECK(store_throughput_estimate(store, "cpu", &large, 4e6, &speed, &error));
  CHECK_NEAR(speed, 500, 1e-9);
  // Half way in the logarithm: FLOP/s are the geometric mean of 1e9 and 2e9.
  CHECK(store_throughput_estimate(store, "cpu", &large, 2e6, &speed, &error));
  CHECK_NEAR(speed, sqrt(1e9 * 2e9) / 2e6, 1e-9);
  // Beyond the ends the nearest shape's FLOP/s hold.
  CHECK(store_throughput_estimate(store, "cpu", &large, 8e6, &speed, &error));
  CHECK_NEAR(speed, 2e9 / 8e6, 1e-9);
  CHECK(!store_throughput_estimate(store, "cuda", &large, 8e6, &speed, &error));
  // A run's measurement counts before a benchmark's of the same size.
  struct throughput bench = {NULL, "cpu", "bench", &small, 1e6, 9000};
  CHECK(store_throughput_put(store, &bench, &error));
  CHECK(store_throughput_estimate(store, "cpu", &small, 1e6, &speed, &error));
  CHECK_NEAR(speed, 1000, 1e-9);
  // Nor does a speed say anything of runs that another setting makes slower, whichever is measured first.
  struct run_config slow = small;
  slow.train.recompute = "block";
  CHECK(!store_throughput_estimate(store, "cpu", &slow, 1e6, &speed, &error));
  struct throughput recomputed = {NULL, "cpu", "run", &slow, 1e6, 700};
  CHECK(store_throughput_put(store, &recomputed, &error));
  CHECK(store_throughput_estimate(store, "cpu", &slow, 1e6, &speed, &error));
  CHECK_NEAR(speed, 700, 1e-9);
  CHECK(store_throughput_estimate(store, "cpu", &small, 1e6, &speed, &error));
  CHECK_NEAR(speed, 1000, 1e-9);
  CHECK_TEXT(error.text, "");
  store_close(store);
}

static void overlays(void) {
  struct error error = {0};
  struct store *home = fresh("home.db"), *plan = store_open(":memory:", STORE_CREATE, &error);
  const char *known = add_run(home, 1, 64);
  add_run(home, 9, 64);
  set(home, known, "state", store_text("done"));
  set(home, known, "loss", store_number(3));
  add_run(plan, 1, 64);
  add_run(plan, 2, 64);
  CHECK(store_overlay(plan, home, &error));
  CHECK_TEXT(error.text, "");
  CHECK(count_rows(store_runs(plan, &(struct run_query){0}, &error)) == 2);
  struct store_rows *rows = store_runs(plan, &(struct run_query){.state = "done"}, &error);
  CHECK(store_rows_next(rows, &error) && store_rows_get(rows, "loss").number == 3);
  store_rows_close(rows);
  store_close(home);
  store_close(plan);
}

static void readers_do_not_wait(void) {
  struct error error = {0};
  struct store *writer = fresh("both.db");
  add_run(writer, 1, 64);
  struct store *reader = store_open(file_of("both.db"), STORE_READ, &error);
  CHECK(reader != NULL);
  sqlite3_busy_timeout(reader->database, 0);
  CHECK(store_begin(writer, &error));
  add_run(writer, 2, 64);
  CHECK(count_rows(store_runs(reader, &(struct run_query){0}, &error)) == 1);
  CHECK(store_commit(writer, &error));
  CHECK(count_rows(store_runs(reader, &(struct run_query){0}, &error)) == 2);
  CHECK(store_begin(writer, &error));
  add_run(writer, 3, 64);
  store_rollback(writer);
  CHECK(count_rows(store_runs(reader, &(struct run_query){0}, &error)) == 2);
  struct store_field field = {"loss", store_number(1)};
  CHECK(!store_run_update(reader, "x", &field, 1, &error));  // a reader cannot write
  CHECK(error.code == EXIT_ENVIRONMENT);
  store_close(reader);
  store_close(writer);
}

static void a_lock_is_told(void) {
  struct error error = {0};
  struct store *one = fresh("locked.db"), *two = fresh("locked.db");
  sqlite3_busy_timeout(two->database, 20);
  CHECK(store_begin(one, &error));
  CHECK(!store_begin(two, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "locked"));
  store_rollback(one);
  error = (struct error){0};
  CHECK(store_begin(two, &error) && store_commit(two, &error));
  store_close(one);
  store_close(two);
}

int main(int argc, char **argv) {
  struct error error = {0};
  snprintf(folder, sizeof folder, "%s/isoloss-store-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(folder)) return 1;
  RUN(keeps_runs);
  RUN(filters_and_sorts);
  RUN(derives_columns);
  RUN(shares_runs);
  RUN(finds_by_prefix);
  RUN(keeps_metrics);
  RUN(gives_curves);
  RUN(keeps_records);
  RUN(estimates_speed);
  RUN(overlays);
  RUN(readers_do_not_wait);
  RUN(a_lock_is_told);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
