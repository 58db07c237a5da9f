// A fit is read as it is written: documents of fits with everything that a fit can have, read and written again, are
// the same bytes, and the structs hold the same numbers; older and damaged documents.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static char *document_of(const struct fit_result *result) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  fit_result_json(result, &writer);
  char *document = strdup(text_string(&text));
  text_free(&text);
  return document;
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static void same_coefficients(const struct fit_result *a, const struct fit_result *b) {
  if (!CHECK(a->coefficient_count == b->coefficient_count)) return;
  CHECK((a->runner_up != NULL) == (b->runner_up != NULL));
  for (size_t i = 0; i < a->coefficient_count; i++) {
    const struct coefficient *x = &a->coefficients[i], *y = &b->coefficients[i];
    CHECK(same_text(x->name, y->name) && same_text(x->parameter, y->parameter) && same_text(x->category, y->category));
    CHECK(x->status == y->status && same(x->value, y->value) && same(x->low, y->low) && same(x->high, y->high) &&
          same(x->se, y->se));
    if (a->runner_up && b->runner_up) CHECK(same(a->runner_up[i], b->runner_up[i]));
    if (isnan(x->se)) continue;
    CHECK(x->intervals.kind == y->intervals.kind && same(x->intervals.percentile_low, y->intervals.percentile_low) &&
          same(x->intervals.percentile_high, y->intervals.percentile_high) &&
          same(x->intervals.bca_low, y->intervals.bca_low) && same(x->intervals.bca_high, y->intervals.bca_high));
  }
}

static void same_rows(const struct fit_result *a, const struct fit_result *b) {
  CHECK(a->rows == b->rows && a->held_out == b->held_out && a->unused == b->unused);
  if (!CHECK(a->table_count == b->table_count && a->excluded_count == b->excluded_count)) return;
  for (size_t i = 0; i < a->table_count; i++) {
    const struct fit_row *x = &a->table[i], *y = &b->table[i];
    CHECK(same_text(x->name, y->name) && x->use == y->use && same_text(x->group, y->group) &&
          same(x->observed, y->observed) && same(x->predicted, y->predicted) && same(x->residual, y->residual) &&
          same(x->influence, y->influence) && same(x->leverage, y->leverage) && same(x->distance, y->distance));
  }
  for (size_t i = 0; i < a->excluded_count; i++)
    CHECK(same_text(a->exclusions[i].row, b->exclusions[i].row) &&
          same_text(a->exclusions[i].reason, b->exclusions[i].reason));
}

static void same_diagnosis(const struct fit_result *a, const struct fit_result *b) {
  if (!CHECK(a->profile_count == b->profile_count && a->direction_count == b->direction_count &&
             a->leave_out_count == b->leave_out_count && a->sensitivity_count == b->sensitivity_count &&
             a->trend_count == b->trend_count && a->influential_count == b->influential_count &&
             a->outlier_count == b->outlier_count))
    return;
  for (size_t i = 0; i < a->profile_count; i++) {
    const struct fit_profile *x = &a->profiles[i], *y = &b->profiles[i];
    CHECK(x->coefficient == y->coefficient && same(x->low, y->low) && same(x->high, y->high) &&
          x->low_open == y->low_open && x->high_open == y->high_open && same_text(x->words, y->words) &&
          same(x->threshold, y->threshold) && x->point_count == y->point_count);
  }
  for (size_t i = 0; i < a->direction_count; i++)
    CHECK(a->directions[i].coefficient == b->directions[i].coefficient &&
          same(a->directions[i].low, b->directions[i].low) && same(a->directions[i].high, b->directions[i].high) &&
          same_text(a->directions[i].words, b->directions[i].words));
  for (size_t i = 0; i < a->trend_count; i++)
    CHECK(a->trends[i].logarithmic == b->trends[i].logarithmic && same(a->trends[i].slope, b->trends[i].slope) &&
          a->trends[i].significant == b->trends[i].significant);
  for (size_t i = 0; i < a->influential_count; i++) {
    const struct fit_influential *x = &a->influential[i], *y = &b->influential[i];
    CHECK(x->row == y->row && x->coefficient == y->coefficient && x->exact == y->exact && same(x->moves, y->moves));
    for (size_t e = 0; e < a->coefficient_count; e++) CHECK(same(x->without[e], y->without[e]));
  }
  for (size_t i = 0; i < a->outlier_count; i++)
    CHECK(a->outliers[i].row == b->outliers[i].row && same(a->outliers[i].deviations, b->outliers[i].deviations));
}

static void check_round_trip(const struct fit_result *result) {
  struct fit_result read;
  struct error error = {0};
  char *first = document_of(result);
  if (fit_result_read(&read, first, &error)) {
    char *second = document_of(&read);
    CHECK_TEXT(second, first);
    free(second);
    same_coefficients(result, &read);
    same_rows(result, &read);
    same_diagnosis(result, &read);
    CHECK(same(result->objective, read.objective) && same(result->condition, read.condition) &&
          result->bootstrap == read.bootstrap && result->interval == read.interval &&
          result->stage_count == read.stage_count && result->warning_count == read.warning_count);
  } else {
    check_fail(__FILE__, __LINE__, error.text);
  }
  fit_result_free(&read);
  free(first);
}

struct source {
  const char *table, *map, *law, *where, *holdout, *group;
};

static const struct source sources[] = {
    {"quartet_fp4/runs.csv", NULL, "chinchilla", "forward == 'BF16' and backward == 'BF16'", "N > 1e8", NULL},
    {"quartet_fp4/runs.csv", NULL, "quartet", "backward == 'BF16' and forward in ['BF16', 'QuEST']", NULL, "model"},
    {"datablations_repeat/runs.csv", NULL, "data-constrained", "N < 1e9", NULL, NULL},
    {"gadre_overtraining/runs.csv", NULL, "overtraining", "train_dataset == 'rpj'", "fit_point != 1", NULL},
    {"olmo_ladder/runs.csv", NULL, "chinchilla", "split != 'extra_0.5xC'", "split != 'train'", NULL},
    {"routed_moe/runs_Hash.csv", NULL, "routed", NULL, NULL, NULL},
    {"porian_isoflop/optima.csv", "parameters=N_opt,flops=budget", "optimal-size",
     "config == 'rw_base_long_kaplan_kaplan'", NULL, NULL},

};

static void tables(void) {
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    const struct source *source = &sources[i];
    struct law law = {0};
    struct table table = {0};
    struct fit_result result = {0};
    struct error error = {0};
    struct arena arena = {0};
    struct column_map *maps = NULL;
    size_t map_count = 0;
    char path[400];
    snprintf(path, sizeof path, TABLES "/%s", source->table);
    if (CHECK(!source->map || column_maps_parse(&arena, source->map, &maps, &map_count, &error)) &&
        CHECK(table_read_csv(&table, path, maps, map_count, &error)) && load_law(&law, source->law) &&
        run_fit(&law, &table,
                &(struct fit_options){.where = source->where,
                                      .holdout = source->holdout,
                                      .group = source->group,
                                      .bootstrap = 20,
                                      .starts = 60,
                                      .profile_all = true,
                                      .leave_out = (const char *const[]){law.columns[0]},
                                      .leave_out_count = 1},
                &result)) {
      result.scores = arena_array(&result.arena, 1, sizeof *result.scores);
      result.scores[result.score_count++] =
          (struct fit_score){.name = "E=1, other",
                             .values = result.runner_up ? result.runner_up : result.replicates,
                             .objective = 3,
                             .bias = 0.5,
                             .rms = 1,
                             .statistic = 2,
                             .degrees = 4,
                             .error_degrees = 5,
                             .p = 0.25,
                             .untested = "a reason"};
      result.ratios = arena_array(&result.arena, 1, sizeof *result.ratios);
      result.ratios[result.ratio_count++] =
          (struct fit_ratio){.quantity = {.name = "A/B",
                                          .value = 2,
                                          .low = 1,
                                          .high = NAN,
                                          .se = 0.5,
                                          .status = COEFFICIENT_ONE_SIDED,
                                          .intervals = result.coefficients[0].intervals},
                             .p = 0.01,
                             .p_least = 0.01};
      CHECK(result.profile_count > 0 && result.leave_out_count == 1 && result.sensitivity_count > 0);
      fit_result_warn(&result, "a \"warning\"\twith %s", "characters \x01 that are escaped");
      fit_result_exclude(&result, "3f2a", "diverged");
      check_round_trip(&result);
    } else {
      printf("# %s: %s\n", source->table, error.text);
    }
    fit_result_free(&result);
    law_free(&law);
    table_free(&table);
    arena_free(&arena);
  }
}

// A law that passes through its rows, one with stages, plain residuals, names that occur twice, an unfitted category.
static void odd_fits(void) {
  static const char rows[] =
      "id,parameters,tokens,format,loss\n"
      "a,1e6,1e8,none,3.9\na,2e6,1e8,none,3.6\nb,4e6,1e8,none,3.45\nb,1e6,4e8,none,3.5\na,2e6,4e8,none,3.3\n"
      "c,4e6,4e8,none,3.05\nc,1e6,1e8,w4a4,4.2\nd,2e6,1e8,w4a4,3.8\ne,4e6,1e8,w4a4,3.6\nf,1e6,4e8,w4a4,3.8\n"
      "f,2e6,4e8,w4a4,3.5\nf,4e6,4e8,w4a4,9.0\ng,4e6,8e8,w3a3,3.3\nh,4e6,8e8,none,\n";
  static const char *const laws[] = {"effective-parameters", "chinchilla"};
  for (size_t l = 0; l < 2; l++) {
    struct law law = {0};
    struct table table = {0};
    struct fit_result result = {0};
    if (load_law(&law, laws[l]) && parse_table(&table, rows) &&
        run_fit(&law, &table,
                &(struct fit_options){.bootstrap = l ? 0 : 30,
                                      .holdout = "format == 'w3a3'",
                                      .residual = l ? "plain" : NULL,
                                      .objective = l ? "lad" : NULL,
                                      .parameter_count = l ? NULL : "non-embedding",
                                      .starts = 200,
                                      .profile_all = true},
                &result)) {
      CHECK(result.excluded_count == 1);
      check_round_trip(&result);
    }
    fit_result_free(&result);
    law_free(&law);
    table_free(&table);
  }
}

static void comparisons(void) {
  struct law laws[2] = {0};
  struct table table = {0};
  struct fit_result result = {0}, read = {0};
  struct error error = {0};
  if (load_law(&laws[0], "chinchilla") && load_law(&laws[1], "power-sum") &&
      load_table(&table, TABLES "/quartet_fp4/runs.csv") &&
      run_fit(&laws[0], &table, &(struct fit_options){.bare = true, .starts = 100}, &result)) {
    result.comparison = arena_alloc(&result.arena, sizeof *result.comparison);
    CHECK(laws_compare(laws, 2, &table, &(struct compare_options){.fit = {.starts = 100}}, result.comparison, &error));
    check_round_trip(&result);
    char *document = document_of(&result);
    if (CHECK(fit_result_read(&read, document, &error)) && CHECK(read.comparison && read.comparison->count == 2)) {
      const struct law_standing *a = result.comparison->laws, *b = read.comparison->laws;
      for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < a[l].coefficient_count; i++)
          CHECK(same_text(a[l].coefficients[i].name, b[l].coefficients[i].name) &&
                a[l].coefficients[i].value == b[l].coefficients[i].value &&
                a[l].coefficients[i].status == b[l].coefficients[i].status);
      for (size_t l = 0; l < 2; l++)
        CHECK(same_text(a[l].law, b[l].law) && a[l].parameters == b[l].parameters && same(a[l].aicc, b[l].aicc) &&
              same(a[l].held_out_behind_se, b[l].held_out_behind_se) && a[l].told_apart == b[l].told_apart);
      CHECK(read.comparison->folds == 5 && !read.comparison->holdout);
    }
    free(document);
  }
  fit_result_free(&read);
  fit_result_free(&result);
  table_free(&table);
  for (size_t l = 0; l < 2; l++) law_free(&laws[l]);
}

// A document of a store that has only what the first version wrote.
static void older_documents(void) {
  static const char old[] =
      "[{\"name\":\"main\",\"law\":\"line\",\"rows\":3,\"excluded\":0,\"objective\":0.25,\"objective_kind\":\"lad\","
      "\"parameters\":{\"a\":{\"value\":2,\"low\":1.5,\"high\":null,\"se\":0.25,\"status\":\"at upper bound\","
      "\"parameter\":\"a\"},\"eff[w4]\":{\"value\":-0.0,\"low\":null,\"high\":null,\"se\":null,"
      "\"status\":\"fitted\",\"parameter\":\"eff\",\"category\":\"w4\"}},\"starts\":7,"
      "\"residuals\":[{\"row\":\"r1\",\"use\":\"held out\",\"observed\":1,\"predicted\":2e300}]}]";
  struct fit_result read;
  struct error error = {0};
  if (CHECK(fit_result_read(&read, old, &error))) {
    const struct coefficient *a = find_coefficient(&read, "a"), *eff = find_coefficient(&read, "eff[w4]");
    CHECK(a->value == 2 && a->low == 1.5 && isnan(a->high) && a->se == 0.25 && a->status == COEFFICIENT_AT_HIGH);
    CHECK(eff->value == 0 && isnan(eff->se));
    CHECK_TEXT(eff->category, "w4");
    CHECK(read.rows == 3 && read.starts == 7 && read.objective_kind.kind == OBJECTIVE_LAD && read.objective == 0.25);
    CHECK(read.residual == RESIDUAL_LOG && read.interval == INTERVAL_PERCENTILE && read.confidence == 0.95);
    CHECK(read.table_count == 1 && read.table[0].use == ROW_HELD_OUT && read.table[0].predicted == 2e300 &&
          isnan(read.table[0].leverage));
    CHECK(!read.profile_count && !read.warning_count && !read.comparison && isnan(read.holdout_error));
    check_round_trip(&read);
  }
  fit_result_free(&read);
}

static void damaged_documents(void) {
  static const struct {
    const char *document, *why;
  } damaged[] = {
      {"", "is no JSON"},
      {"{\"rows\": 12", "is no JSON"},
      {"{}", "'parameters' is no object"},
      {"[]", "it has 0 fits"},
      {"[{},{}]", "it has 2 fits"},
      {"[3]", "it is no object"},
      {"{\"parameters\":[]}", "'parameters' is no object"},
      {"{\"parameters\":{\"a\":1}}", "'a' is no object"},
      {"{\"parameters\":{\"a\":{\"value\":\"x\"}}}", "'value' is no number"},
      {"{\"parameters\":{\"a\":{\"status\":\"x\"}}}", "'status' is no state"},
      {"{\"parameters\":{\"a\":{\"bca\":[1]}}}", "'bca' is no pair"},
      {"{\"parameters\":{},\"rows\":-1}", "'rows' is no count"},
      {"{\"parameters\":{},\"rows\":1.5}", "'rows' is no count"},
      {"{\"parameters\":{},\"bootstrap\":1e12}", "'bootstrap' is no count"},
      {"{\"parameters\":{},\"objective_kind\":\"huber\"}", "'objective_kind' is no objective"},
      {"{\"parameters\":{},\"warnings\":[1]}", "'warnings' is no array of texts"},
      {"{\"parameters\":{},\"residuals\":[1]}", "'residuals' is no array of objects"},
      {"{\"parameters\":{},\"residuals\":[{\"use\":\"x\"}]}", "'use' is no use"},
      {"{\"parameters\":{},\"profiles\":{\"b\":{}}}", "'b' is no parameter of the fit"},
      {"{\"parameters\":{\"a\":{}},\"outliers\":[{\"row\":\"r\"}]}", "'r' is no row of the fit"},
      {"{\"parameters\":{\"a\":{}},\"sensitivity\":[{\"parameters\":{}}]}", "'parameters' is no value a parameter"},
      {"{\"parameters\":{},\"comparison\":{\"objective_kind\":\"lad\",\"residual_kind\":\"log\"}}",
       "'laws' is no list of laws"},
      {"{\"parameters\":{},\"stationary\":1}", "'stationary' is no truth value"},
  };
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    struct fit_result read;
    struct error error = {0};
    CHECK(!fit_result_read(&read, damaged[i].document, &error));
    if (!CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, damaged[i].why) != NULL))
      printf("# %s: %s\n", damaged[i].document, error.text);
    fit_result_free(&read);
  }
}

int main(void) {
  RUN(tables);
  RUN(odd_fits);
  RUN(comparisons);
  RUN(older_documents);
  RUN(damaged_documents);
  return check_end();
}
