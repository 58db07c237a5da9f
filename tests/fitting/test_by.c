// A law by the values of a column: each of them fitted by itself, what cannot be is named, documents tell which is
// which.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static const char line[] =
    "law: line\npredicts: y\nformula: a + b * x\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: [0, 1]}, b: {starts: [0, 1]}}\n";
// Slopes of 3 at place 10, 1 at place 2; one row at place 7; one row at no place.
static const char rows[] =
    "place,kind,x,y\n10,n,0,1\n10,n,1,4.1\n10,w,2,6.9\n10,w,3,10\n2,n,0,5\n2,n,1,6.1\n2,w,2,6.9\n"
    "2,w,3,8\n7,n,1,1\n,n,2,2\n";

static bool begin(struct law *law, struct table *table) { return parse_law(law, line) && parse_table(table, rows); }

static void each_by_itself(void) {
  struct law law;
  struct table table;
  struct fit_parts parts = {0};
  struct error error = {0};
  struct fit_options options = {.bootstrap = 0, .by = "place"};
  if (begin(&law, &table) && CHECK(fit_run_by(&law, &table, &options, &parts, &error)) && CHECK(parts.count == 2)) {
    CHECK_TEXT(parts.results[0].name, "line[2]");  // in order of their numbers
    CHECK_TEXT(parts.results[1].part, "10");
    CHECK_TEXT(parts.results[1].by, "place");
    CHECK(parts.results[0].rows == 4 && parts.results[1].rows == 4);
    CHECK_NEAR(value_of(&parts.results[0], "b"), 0.98, 1e-9);
    CHECK_NEAR(value_of(&parts.results[1], "b"), 2.98, 1e-9);
    for (int k = 0; k < 2; k++) {  // as a fit of these rows alone
      struct fit_result alone;
      options.by = NULL;
      options.where = k ? "place == 10" : "place == 2";
      if (run_fit(&law, &table, &options, &alone)) {
        CHECK(alone.objective == parts.results[k].objective);
        CHECK(value_of(&alone, "a") == value_of(&parts.results[k], "a"));
      }
      fit_result_free(&alone);
    }
    if (CHECK(parts.left_out_count == 2)) {
      CHECK_TEXT(parts.left_out[0].row, "7");
      CHECK(strstr(parts.left_out[0].reason, "1 row cannot determine 2 parameters"));
      CHECK_TEXT(parts.left_out[1].reason, "1 row has no value there");
    }
  }
  fit_parts_free(&parts);
  law_free(&law);
  table_free(&table);
}

static void texts_and_conditions(void) {
  struct law law;
  struct table table;
  struct fit_parts parts = {0};
  struct error error = {0};
  struct fit_options options = {.bootstrap = 0, .by = "kind", .where = "x <= 2", .name = "mine"};
  if (begin(&law, &table) && CHECK(fit_run_by(&law, &table, &options, &parts, &error)) && CHECK(parts.count == 1)) {
    CHECK_TEXT(parts.results[0].name, "mine[n]");
    CHECK(parts.results[0].rows == 6 && parts.left_out_count == 1);  // w has two rows left
  }
  fit_parts_free(&parts);
  law_free(&law);
  table_free(&table);
}

static void documents(void) {
  struct law law;
  struct table table;
  struct fit_parts parts = {0};
  struct error error = {0};
  struct text text = {0};
  struct fit_options options = {.bootstrap = 0, .by = "place"};
  if (begin(&law, &table) && CHECK(fit_run_by(&law, &table, &options, &parts, &error))) {
    check_written_again(&parts.results[1], &text);
    CHECK(strstr(text_string(&text), "\"by\":{\"column\":\"place\",\"value\":\"10\"}"));
  }
  text_free(&text);
  fit_parts_free(&parts);
  law_free(&law);
  table_free(&table);
}

static void refuses(const char *by, const char *where, const char *words) {
  struct law law;
  struct table table;
  struct fit_parts parts = {0};
  struct error error = {0};
  struct fit_options options = {.bootstrap = 0, .by = by, .where = where};
  if (begin(&law, &table)) {
    CHECK(!fit_run_by(&law, &table, &options, &parts, &error));
    if (!CHECK(strstr(error.text, words))) printf("# %s\n", error.text);
  }
  fit_parts_free(&parts);
  law_free(&law);
  table_free(&table);
}

static void mistakes(void) {
  refuses("plaice", NULL, "there is no column 'plaice'");
  refuses("y", NULL, "by y: 1: test.csv: 2 rows cannot determine");
  refuses("place", "x > 9", "no row that takes part has a value in column 'place'");
}

// Where one fit is needed, the rows of several values are no silent mixture.
static void one_fit_of_several_values(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct error error = {0};
  struct fit_options options = {.bootstrap = 0, .by = "place"};
  if (begin(&law, &table)) {
    CHECK(!fit_run(&law, &table, &options, &result, &error));
    if (!CHECK(strstr(error.text, "--where \"place == ...\""))) printf("# %s\n", error.text);
    fit_result_free(&result);
    options.where = "place == 2";
    if (run_fit(&law, &table, &options, &result)) CHECK(result.rows == 4 && !result.by);
    fit_result_free(&result);
  }
  law_free(&law);
  table_free(&table);
}

int main(void) {
  fitting_start();
  RUN(each_by_itself);
  RUN(texts_and_conditions);
  RUN(documents);
  RUN(mistakes);
  RUN(one_fit_of_several_values);
  return check_end();
}
