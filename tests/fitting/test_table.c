// Tests of tables: reading CSV, conditions, reductions.
#include <stdlib.h>
#include <time.h>

#include "tests/fitting/fitting_test.h"

static double cell(const struct table *table, const char *column, size_t row) {
  int c = table_find(table, column);
  return c < 0 || table->columns[c].kind != COLUMN_NUMBER ? NAN : table->columns[c].numbers[row];
}

static const char *category(const struct table *table, const char *column, size_t row) {
  struct value value = table_value(table, (size_t)table_find(table, column), row);
  return value.kind == VALUE_TEXT ? value.text : "(none)";
}

static const char *failure(const char *text, const char *map) {
  static struct error error;
  struct table table;
  struct arena arena = {0};
  struct column_map *maps = NULL;
  size_t count = 0;
  error = (struct error){0};
  if (!map || column_maps_parse(&arena, map, &maps, &count, &error))
    table_parse_csv(&table, "t.csv", text, strlen(text), maps, count, &error);
  else
    table = (struct table){0};
  table_free(&table);
  arena_free(&arena);
  return error.code ? error.text : "no error";
}

static void reads_csv(void) {
  struct table table;
  if (!parse_table(&table,
                   "\xef\xbb\xbfrun_id,N,D,loss, format ,note\r\n"
                   "a,1e6,2e7,3.25,none,\"said \"\"so\"\", twice\"\r\n"
                   "\r\n"
                   "b, 2000000 ,4e7,NaN,w4a4,\"two\nlines\"\r\n"
                   "c,3e6,,2.5,,-\r\n"))
    return;
  CHECK(table.row_count == 3 && table.column_count == 6);
  CHECK_TEXT(table.row_names[1], "b");
  CHECK_NEAR(cell(&table, "parameters", 1), 2e6, 0);  // N is short for it
  CHECK_NEAR(cell(&table, "N", 2), 3e6, 0);
  CHECK(isnan(cell(&table, "tokens", 2)) && isnan(cell(&table, "loss", 1)));
  CHECK_TEXT(category(&table, "format", 1), "w4a4");
  CHECK_TEXT(category(&table, "format", 2), "(none)");
  CHECK_TEXT(category(&table, "note", 0), "said \"so\", twice");
  CHECK_TEXT(category(&table, "note", 1), "two\nlines");
  CHECK_TEXT(table.columns[table_find(&table, "tokens")].original, "D");
  table_free(&table);
  if (!parse_table(&table, "x\n1\n2\n")) return;  // rows without a name are named by their line
  CHECK_TEXT(table.row_names[1], "line 3");
  table_free(&table);
}

static void maps_columns(void) {
  struct table table;
  struct arena arena = {0};
  struct error error = {0};
  struct column_map *maps;
  size_t count;
  const char *text = "N,N_total,loss\n1,10,3\n2,20,4\n";
  CHECK(column_maps_parse(&arena, "N=N_total", &maps, &count, &error) && count == 1);
  CHECK(table_parse_csv(&table, "t.csv", text, strlen(text), maps, count, &error));
  CHECK_NEAR(cell(&table, "parameters", 1), 20, 0);  // the mapped column, not the one that was called so
  CHECK_TEXT(table.columns[table_find(&table, "parameters")].original, "N_total");
  table_free(&table);
  arena_free(&arena);
  CHECK_TEXT(failure(text, "parameters=N_totl"),
             "t.csv: parameters=N_totl: there is no column 'N_totl'; did you mean 'N_total'?");
  CHECK_TEXT(failure(text, "parameters"), "'parameters' in 'parameters' is not of the form name=column");
}

// Reads a text under a map (or NULL); false when it is refused.
static bool parse_mapped(struct table *table, const char *text, const char *map) {
  struct arena arena = {0};
  struct error error = {0};
  struct column_map *maps = NULL;
  size_t count = 0;
  bool fine = (!map || column_maps_parse(&arena, map, &maps, &count, &error)) &&
              table_parse_csv(table, "t.csv", text, strlen(text), maps, count, &error);
  if (!fine) printf("# %s\n", error.text);
  arena_free(&arena);
  return fine;
}

static void computes_columns(void) {
  struct table table;
  const char *text = "N_millions,D,val/loss,tokens seen,bits,eval-ppl\n30,1.5,3.5,2e9,4,8\n60,3,3.25,,8,16\n";
  if (!CHECK(parse_mapped(&table, text,
                          "parameters=N_millions*1e6,tokens=D*1e9,loss=val/loss,seen=`tokens seen`/1e9,"
                          "nats=log(`eval-ppl`),size=max(N_millions, 40),kind=bits < 8 ? 'small' : \"la,rge\"")))
    return;
  CHECK(cell(&table, "parameters", 0) == 30e6 && cell(&table, "N", 1) == 60e6);
  CHECK(cell(&table, "tokens", 1) == 3e9 && cell(&table, "loss", 0) == 3.5);
  CHECK(cell(&table, "seen", 0) == 2 && isnan(cell(&table, "seen", 1)) && cell(&table, "nats", 0) == log(8));
  CHECK(cell(&table, "size", 0) == 40 && cell(&table, "size", 1) == 60);
  CHECK_TEXT(category(&table, "kind", 1), "la,rge");
  CHECK_TEXT(table.columns[table_find(&table, "parameters")].original, "N_millions*1e6");
  CHECK(table_find(&table, "D (original)") >= 0);  // the column that had the name
  table_free(&table);
  CHECK_TEXT(failure(text, "parameters=N_milions*1e6"),
             "t.csv: parameters=N_milions*1e6: there is no column 'N_milions'; did you mean 'N_millions'?");
  CHECK(strstr(failure(text, "tokens=D*"), "t.csv: tokens=D*: this is neither a column nor an expression"));
  CHECK(strstr(failure(text, "tokens=1..2 3"), "neither a column nor an expression"));
}

static void leaves_out_an_index(void) {
  struct table table;
  static const char *const texts[] = {",N,loss\n0,1e6,3\n1,2e6,2.9\n",
                                      ",N,loss\n4,1e6,3\n17,2e6,2.9\n",
                                      ",N,loss\n1,1e6,3\n0,2e6,2.9\n",
                                      ";N;loss\n0;1e6;3\n0;2e6;2.9\n",
                                      "Unnamed: 0,,N,loss\n0,5,1e6,3\n1,3,2e6,2.9\n",
                                      "N,loss,\n1e6,3,\n2e6,2.9,\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (!CHECK(parse_mapped(&table, texts[i], NULL))) continue;
    CHECK(table.column_count == 2 && cell(&table, "N", 1) == 2e6 && cell(&table, "loss", 1) == 2.9);
    CHECK_TEXT(table.row_names[1], "line 3");
    table_free(&table);
  }
  if (!CHECK(parse_mapped(&table, ",N,loss\nsmall,1e6,3\nlarge,2e6,2.9\n", NULL))) return;
  CHECK_TEXT(category(&table, "index", 1), "large");  // names of rows are kept
  table_free(&table);
}

static void finds_the_separator(void) {
  struct table table;
  static const char *const texts[] = {"N;loss (nats, val)\r\n1e6;3,25\r\n2e6;3,125\r\n",
                                      "N\tloss (nats, val)\n1e6\t3.25\n2e6\t3.125\n",
                                      "sep=;\nN;loss (nats, val)\n1e6;3.25\n2e6;3.125\n",
                                      "\xef\xbb\xbf\"N\";\"loss (nats, val)\"\n\"1e6\";\"3,25\"\n\"2e6\";\"3,125\"\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (!CHECK(parse_mapped(&table, texts[i], "loss=loss (nats, val)"))) continue;
    CHECK(table.column_count == 2 && table.row_count == 2 && cell(&table, "N", 1) == 2e6);
    CHECK(cell(&table, "loss", 0) == 3.25 && cell(&table, "loss", 1) == 3.125);
    table_free(&table);
  }
}

static double read_one(const char *number, const char *column, const char *others) {
  struct table table;
  struct text text = {0};
  text_format(&text, "%s;%s\n%s;%s\n", column, others, number, *others ? "2,5" : "");
  double value = parse_mapped(&table, text_string(&text), NULL) ? cell(&table, column, 0) : -1;
  table_free(&table);
  text_free(&text);
  return value;
}

static void reads_numbers_of_people(void) {
  struct table table;
  static const struct {
    const char *text;
    double value;
  } cases[] = {{"1,234,567", 1234567},
               {"1 234 567", 1234567},
               {"1\xc2\xa0"
                "234",
                1234},
               {"1_000", 1000},
               {"1'234'567.5", 1234567.5},
               {"1.234.567", 1234567},
               {"1,234.5", 1234.5},
               {"1.234,5", 1234.5},
               {"3,25", 3.25},
               {"-0,125", -0.125},
               {"\xe2\x88\x92"
                "2,5",
                -2.5},
               {"1,5e+09", 1.5e9},
               {"1.234", 1.234},
               {"0,125", 0.125},
               {"inf", INFINITY},
               {"1234,567", 1234.567}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double value = read_one(cases[i].text, "loss", "");
    if (!CHECK(value == cases[i].value)) printf("# '%s' is read as %g\n", cases[i].text, value);
  }
  // What strtod takes besides them is no number: a column of it is one of words.
  static const char *const words[] = {"0x10", "-0X1p3", "nan(1)"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!CHECK(isnan(read_one(words[i], "loss", "")))) printf("# '%s' is read as a number\n", words[i]);
  // where the file has decimal commas, "1.234" has none
  CHECK(read_one("1.234", "tokens", "loss") == 1234 && read_one("1,234", "tokens", "loss") == 1.234);
  static const struct {
    const char *text;
    double value;
  } sizes[] = {{"30M", 30e6}, {"1.4B", 1.4e9}, {"2T", 2e12}, {"70m", 70e6}, {"12.5 k", 12500}, {"6.7G", 6.7e9}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    double value = read_one(sizes[i].text, "N", "");
    if (!CHECK(value == sizes[i].value)) printf("# '%s' is read as %g\n", sizes[i].text, value);
  }
  const char *text = "model,N,tokens,bits,betas\n30M,30M,\"1,500,000,000\",none,\"0,9\"\n1.4B,1.4B,None,4,\"0,95\"\n";
  if (!CHECK(parse_mapped(&table, text, NULL))) return;
  CHECK_TEXT(category(&table, "model", 0), "30M");  // a name stays one
  CHECK_TEXT(category(&table, "bits", 0), "none");
  CHECK(cell(&table, "tokens", 0) == 1.5e9 && isnan(cell(&table, "tokens", 1)) && cell(&table, "N", 1) == 1.4e9);
  table_free(&table);
  if (!CHECK(parse_mapped(&table, text, "parameters=model"))) return;
  CHECK(cell(&table, "parameters", 1) == 1.4e9 && table.note_count == 0);
  table_free(&table);
  if (!CHECK(parse_mapped(&table, "tokens\n\"1,234\"\n70m\n", NULL))) return;
  CHECK(cell(&table, "tokens", 0) == 1234 && table.note_count == 2);  // choices are told
  CHECK_TEXT(table.notes[0], "column 'tokens': '1,234' is read as 1234");
  table_free(&table);
  CHECK(strstr(failure("N;tokens\n1e6;1,234\n2e6;2,345\n", NULL),
               "column 'tokens': is '2,345' a number of thousands or one with a decimal comma?"));
  CHECK_TEXT(failure("N;loss\n1e6;3,25\n2e6;3.25\n", NULL),
             "t.csv: column 'loss': '3,25' has a decimal comma, '3.25' a decimal point; write the column in one way");
  CHECK(strstr(failure("N,loss\n30M,3\n500,3.2\n", NULL), "t.csv:3: column 'N': is '500' among numbers such as '30M'"));
}

static size_t duplicates(const char *text, size_t *left) {
  static const char *const keys[] = {"parameters", "tokens"};
  struct table table;
  if (!CHECK(parse_mapped(&table, text, NULL))) return 0;
  size_t dropped = table_drop_duplicates(&table, "loss", keys, 2);
  *left = table.row_count;
  table_free(&table);
  return dropped;
}

static void drops_duplicates(void) {
  size_t left;
  CHECK(duplicates("N,D,loss\n1,2,3.1\n1,2,3.2\n1,2,3.1\n2,2,3.1\n1,2,3.1\n", &left) == 2 && left == 3);
  // of runs that differ, and to few digits end alike, nothing is known; to many, they are one
  CHECK(duplicates("N,D,loss,seed\n1,2,3.14,1\n1,2,3.14,2\n1,2,3.14,2\n", &left) == 1 && left == 2);
  CHECK(duplicates("N,D,loss,note\n1,2,3.14159,a\n1,2,3.14159,b\n", &left) == 1 && left == 1);
  // names of rows do not count, and what one of two files does not say agrees
  CHECK(duplicates("run_id,N,D,loss,lr\na,1,2,3.1,0.1\nb,1,2,3.1,\nc,1,2,3.1,0.2\n", &left) == 1 && left == 2);
  CHECK(duplicates("N,D,loss\n1,2,\n1,2,\n,2,3\n,2,3\n", &left) == 0 && left == 4);
}

// What is said of a table's units for the law chinchilla.
static const char *units(const char *text) {
  static char said[1000];
  struct table table;
  struct law law;
  bool rows[] = {true, true, true, true};
  *said = 0;
  if (!CHECK(load_law(&law, "chinchilla")) || !CHECK(parse_mapped(&table, text, NULL))) return "";
  CHECK(table.row_count <= 4);
  table_check_units(&table, &law, 1, rows);
  for (size_t i = 0; i < table.note_count; i++)
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s|", table.notes[i]);
  table_free(&table);
  law_free(&law);
  return said;
}

static void doubts_units(void) {
  CHECK_TEXT(units("N,D,C,loss\n1e7,1e9,6e16,3\n1e8,2e9,9e17,2.9\n3e8,3e9,5.4e18,2.7\n"), "");
  CHECK_TEXT(units("N,D,loss\n3e3,1e6,5\n1e4,2e6,4.5\n"), "");  // a toy is no mistake
  CHECK_TEXT(units("N,D,loss\n30,1e9,3\n124,2e9,2.9\n"),
             "parameters lies between 30 and 124: is it in millions or billions? (--map 'parameters=N*1e6')|");
  CHECK_TEXT(units("N,D,loss\n1e7,1e9,3\n2e7,1e9,2.9\n3e7,1e9,2.8\n"),
             "tokens is 1e+09 in every row: what depends on it cannot be told from these rows|");
  CHECK_TEXT(units("N,D,loss\n1e7,1e9,30\n2e7,2e9,25\n"),
             "loss is 30 in the median: is it a perplexity? (--map 'loss=log(loss)')|");
  CHECK(
      strstr(units("N,D,C,loss\n1e10,1e12,700,2\n2e10,2e12,2800,1.9\n"), "petaflop/s-days? (--map 'flops=C*8.64e19')"));
  CHECK(strstr(units("N,D,C,loss\n1e4,1e9,6e16,3\n1e5,2e9,1.2e18,2.9\n"), "flops is 1e+03 times 6 N D"));
  CHECK(strstr(units("N,D,loss\n30,1e9,3\n2e7,2e9,2.9\n3e7,3e9,2.8\n"), "parameters is 30 in one row"));
}

static const char *misfit(const char *text) {
  static struct error error;
  struct table table;
  struct law law;
  error = (struct error){0};
  if (!CHECK(load_law(&law, "chinchilla")) || !CHECK(parse_mapped(&table, text, NULL))) return "";
  bool fits = table_fits_law(&table, &law, &error);
  table_free(&table);
  law_free(&law);
  return fits ? "fits" : error.text;
}

static void names_what_is_missing(void) {
  CHECK_TEXT(misfit("N,D,loss\n1,2,3\n"), "fits");
  CHECK_TEXT(
      misfit("num_params,lr,tokens seen (B),train/loss,eval/loss\n1,2,3,4,5\n"),
      "t.csv: the law chinchilla needs what is not there: no column 'parameters' (N), no column 'tokens' (D), no "
      "column 'loss'; perhaps --map 'parameters=num_params,tokens=`tokens seen (B)`*1e9,loss=eval/loss'? (there "
      "are: num_params, lr, tokens seen (B), train/loss, eval/loss)");
  static const char *const names[][2] = {
      {"n_params", "parameters=n_params"},       {"N_millions", "parameters=N_millions*1e6"},
      {"totalParams", "parameters=totalParams"}, {"params_B", "parameters=params_B*1e9"},
      {"model_size", "parameters=model_size"},   {"N_total", "parameters=N_total"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char text[100];
    snprintf(text, sizeof text, "%s,D,loss,num_experts\n1,2,3,4\n", names[i][0]);
    if (!CHECK(strstr(misfit(text), names[i][1]))) printf("# %s\n", misfit(text));
  }
  CHECK(strstr(misfit("N,D,val_ppl\n1,2,3\n"), "perhaps --map 'loss=log(val_ppl)'?"));
  CHECK(strstr(misfit("N,tokns,loss\n1,2,3\n"), "perhaps --map 'tokens=tokns'?"));
  CHECK(strstr(misfit("x,D,loss\n1,2,3\n"), "no column 'parameters' (N); name the columns with --map"));
  CHECK_TEXT(misfit("N,D,loss\n1e6,2e9,3\nbig,2e9,3\n"),
             "t.csv: line 3: column 'N': 'big' is no number, and parameters is one");
}

// 20 rows of 9990 columns, none like another: time and memory are those of the cells.
static void reads_wide_tables(void) {
  struct text text = {0};
  struct table table;
  for (int row = -1; row < 20; row++)
    for (int c = 0; c < 9990; c++)
      text_format(&text, row < 0 ? "c%d%s" : "%d%s", row < 0 ? c : 7 * c + row * c, c < 9989 ? "," : "\n");
  clock_t before = clock();
  if (CHECK(parse_mapped(&table, text_string(&text), NULL))) {
    CHECK(table.column_count == 9990 && cell(&table, "c9989", 1) == 8 * 9989);
    CHECK(clock() - before < 3 * CLOCKS_PER_SEC);
    table_free(&table);
  }
  text_free(&text);
}

static void refuses_csv(void) {
  CHECK_TEXT(failure("", NULL), "t.csv: the table is empty");
  CHECK_TEXT(failure("a,b\n", NULL), "t.csv: there is a header, but no row");
  CHECK_TEXT(failure("a,b\n1,2\n3\n", NULL), "t.csv:3:2: the header names 2 columns, but this row ends after 1");
  CHECK_TEXT(failure("a,b\n1,2\n3,4,5\n", NULL), "t.csv:3:5: the header names 2 columns, but this row has more cells");
  CHECK_TEXT(failure("a,a\n1,2\n", NULL), "t.csv:1: two columns are named 'a'");
  CHECK_TEXT(failure("a,\n1,2\n", NULL), "t.csv:1: column 2 of the header has no name");
  CHECK_TEXT(failure("a,b\n1,\"2\n3\n", NULL), "t.csv:2:3: this quote is never closed");
  CHECK(strstr(failure("a,b\n1,\"2\"x\n", NULL), "t.csv:2:3: after the quoted cell"));
  CHECK_TEXT(failure("a,b\n1,\xff\n", NULL), "t.csv:2: the file is not UTF-8 text");
}

static void grows_by_rows(void) {
  struct table table;
  table_init(&table, "grown", 0);
  size_t number = table_add_number(&table, "loss", ROLE_OUTCOME),
         text = table_add_category(&table, "kind", ROLE_UNKNOWN);
  for (size_t row = 0; row < 200; row++) {
    if (row == table.row_count) table_resize(&table, row ? 2 * row : 1);
    table.columns[number].numbers[row] = (double)row;
    table_set_category(&table, text, row, row % 3 ? "odd" : NULL);
  }
  CHECK(table.row_count == 256 && table.row_members[255] == 1 && isnan(table.columns[number].numbers[200]));
  CHECK(table_value(&table, text, 200).kind == VALUE_MISSING);
  table_resize(&table, 200);
  CHECK(table.row_count == 200 && table.columns[text].category_count == 1);
  for (size_t row = 0; row < 200; row++)
    CHECK(cell(&table, "loss", row) == (double)row && table.columns[text].codes[row] == (row % 3 ? 0 : -1));
  table_free(&table);
}

static void filters_rows(void) {
  struct table table;
  struct error error = {0};
  bool keep[4];
  if (!parse_table(&table, "N,loss,format\n1,3,none\n2,,none\n3,2.5,w4\n4,2.4,\n")) return;
  CHECK(table_where(&table, "N > 1 and format == 'none'", keep, &error));
  CHECK(!keep[0] && keep[1] && !keep[2] && !keep[3]);
  CHECK(table_where(&table, "loss < 2.9", keep, &error));  // a missing number is in no comparison
  CHECK(!keep[0] && !keep[1] && keep[2] && keep[3]);
  CHECK(table_where(&table, "format == \"\"", keep, &error) && keep[3] && !keep[0]);
  CHECK(!table_where(&table, "los < 2.9", keep, &error));
  CHECK_TEXT(error.text, "condition 'los < 2.9': test.csv: there is no column 'los'; did you mean 'loss'?");
  error = (struct error){0};
  CHECK(!table_where(&table, "format == w4", keep, &error));
  CHECK_TEXT(error.text,
             "condition 'format == w4': there is no column 'w4'; a text is written in quotes: format == \"w4\"");
  error = (struct error){0};
  CHECK(!table_where(&table, "N >", keep, &error));
  CHECK_TEXT(error.text, "condition 'N >': column 4: expected a value, found the end");
  error = (struct error){0};
  CHECK(table_where(&table, "N >= 3", keep, &error));
  table_keep_rows(&table, keep);
  CHECK(table.row_count == 2 && cell(&table, "N", 0) == 3);
  CHECK_TEXT(table.row_names[0], "line 4");
  table_free(&table);
}

// Two sizes; learning rates 1, 2, 4; two seeds at each.
static const char sweep[] =
    "run_id,N,D,lr,seed,loss\n"
    "a,1,10,1,1,3.0\nb,1,10,2,1,2.8\nc,1,10,4,1,2.9\n"
    "d,1,10,1,2,3.2\ne,1,10,2,2,2.9\nf,1,10,4,2,2.6\n"
    "g,2,10,1,1,2.5\nh,2,10,2,1,2.6\ni,2,10,4,1,\n"
    "j,2,10,1,2,2.3\nk,2,10,2,2,2.4\nl,2,10,4,2,2.9\n";

static void takes_the_best(void) {
  struct table table;
  struct error error = {0};
  struct reduction reduction;
  static const char *const axes[] = {"lr", "seed"}, *const keys[] = {"parameters", "tokens"};
  if (!parse_table(&table, sweep)) return;
  CHECK(table_best_over(&table, NULL, axes, 2, keys, 2, &reduction, &error));
  CHECK(reduction.rows_before == 12 && reduction.rows_after == 2 && table.row_count == 2);
  CHECK_TEXT(table.row_names[0], "f");
  CHECK_TEXT(table.row_names[1], "j");
  if (CHECK(reduction.warning_count == 3)) {
    CHECK_TEXT(reduction.warnings[0], "1 of 12 rows has no finite loss and is never the best");
    CHECK_TEXT(reduction.warnings[1],
               "the best lr lies on the edge of its grid in 2 of 2 configurations (1 at the lowest, 1 at the highest "
               "value): widen the grid there");
  }
  table_free(&table);
  static const char *const wrong[] = {"lrr"};
  if (!parse_table(&table, sweep)) return;
  CHECK(!table_best_over(&table, NULL, wrong, 1, keys, 2, &reduction, &error));
  CHECK(starts_with(error.text, "best_over: test.csv: there is no column 'lrr'"));
  table_free(&table);
}

static void averages(void) {
  struct table table;
  struct error error = {0};
  struct reduction reduction;
  static const char *const axes[] = {"seed"}, *const keys[] = {"parameters", "tokens", "lr"},
                           *const targets[] = {"loss"};
  if (!parse_table(&table, sweep)) return;
  CHECK(table_average_over(&table, targets, 1, axes, 1, keys, 3, false, &reduction, &error));
  CHECK(table.row_count == 6);  // the row without a loss is in no average
  CHECK_NEAR(cell(&table, "loss", 0), 3.1, 1e-15);
  CHECK(table.row_members[0] == 2 && table.row_members[5] == 1);
  CHECK_NEAR(cell(&table, "loss", 5), 2.9, 0);
  CHECK(isnan(cell(&table, "seed", 0)));
  double squares = pow(log(3.0 / 3.2), 2) + pow(log(2.8 / 2.9), 2) + pow(log(2.9 / 2.6), 2) + pow(log(2.5 / 2.3), 2) +
                   pow(log(2.6 / 2.4), 2);
  CHECK(reduction.noise_degrees == 5);
  CHECK_NEAR(reduction.noise, sqrt(squares / 2 / 5), 1e-14);
  table_free(&table);
}

// Never by what a law predicts, never a run that failed; a run that diverged beyond the best bounds the grid.
static void chooses_by(void) {
  static const char rows[] =
      "N,D,lr,loss,accuracy,State\n"
      "1,1,1,3.0,0.5,finished\n1,1,2,2.8,0.6,finished\n1,1,4,2.9,0.7,finished\n1,1,8,nan,nan,finished\n"
      "2,1,1,2.5,0.5,finished\n2,1,2,2.4,0.4,finished\n2,1,4,1.2,0.9,crashed\n2,1,8,-inf,0.1,diverged\n"
      "3,1,1,nan,0.5,failed\n3,1,2,inf,nan,finished\n";
  static const char *const axes[] = {"lr"}, *const keys[] = {"parameters", "tokens"};
  static const struct {
    const char *by, *best[3];
    size_t count;
  } cases[] = {{NULL, {"line 3", "line 7"}, 2},
               {"loss", {"line 3", "line 7"}, 2},
               {"-accuracy", {"line 4", "line 6"}, 2},
               {"loss - 10 * accuracy", {"line 4", "line 6"}, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct table table;
    struct error error = {0};
    struct reduction reduction;
    if (!parse_table(&table, rows)) return;
    CHECK(table_best_over(&table, cases[i].by, axes, 1, keys, 2, &reduction, &error));
    if (CHECK(table.row_count == cases[i].count))
      for (size_t row = 0; row < table.row_count; row++) CHECK_TEXT(table.row_names[row], cases[i].best[row]);
    if (i == 0 && CHECK(reduction.warning_count == 3)) {
      CHECK_TEXT(reduction.warnings[0], "4 of 10 rows have no finite loss and are never the best");
      CHECK_TEXT(
          reduction.warnings[1],
          "1 of 10 rows is of a run that failed or did not end (State = crashed, State = diverged, State = failed): "
          "it is never the best");
      CHECK_TEXT(reduction.warnings[2], "1 configuration has no row that can be the best and is left out");
    }
    CHECK(table.choice_count == 1 && table.choices[0].column == table_find(&table, "lr"));
    table_free(&table);
  }
  struct table table;
  struct error error = {0};
  struct reduction reduction;
  if (!parse_table(&table, "N,lr,accuracy\n1,1,0.5\n1,2,0.6\n")) return;
  CHECK(!table_best_over(&table, NULL, axes, 1, keys, 1, &reduction, &error));
  CHECK(strstr(error.text, "there is no column 'loss'") && strstr(error.text, "best_by"));
  error = (struct error){0};
  CHECK(!table_best_over(&table, "-acuracy", axes, 1, keys, 1, &reduction, &error));
  CHECK(strstr(error.text, "did you mean 'accuracy'"));
  table_free(&table);
}

// The error of a choice: of a parabola without noise, the step of the grid over the root of 12; more with noise.
static void measures_choices(void) {
  static const char *const axes[] = {"lr"}, *const keys[] = {"parameters"};
  double deviation[2];
  for (int noisy = 0; noisy < 2; noisy++) {
    struct table table;
    struct error error = {0};
    struct reduction reduction;
    size_t sizes = 8, rates = 9;
    table_init(&table, "made", sizes * rates);
    size_t n = table_add_number(&table, "parameters", ROLE_UNKNOWN), lr = table_add_number(&table, "lr", ROLE_UNKNOWN),
           loss = table_add_number(&table, "loss", ROLE_UNKNOWN);
    for (size_t row = 0; row < table.row_count; row++) {
      double normal[2], rate = 2 * (double)(row % rates), best = 7.3 + 0.2 * (double)(row / rates);
      random_normal_pair(5, 6, 0, row, normal);
      table.columns[n].numbers[row] = (double)(row / rates);
      table.columns[lr].numbers[row] = exp(rate - 8);
      table.columns[loss].numbers[row] = 3 + 0.01 * pow(rate - best, 2) + (noisy ? 0.1 * normal[0] : 0);
    }
    CHECK(table_best_over(&table, NULL, axes, 1, keys, 1, &reduction, &error) && table.row_count == sizes);
    deviation[noisy] = table.choices[0].deviation[0];
    CHECK(table.choices[0].logarithmic);
    for (size_t row = 0; row < sizes && !noisy; row++) {
      double off = log(cell(&table, "lr", row)) + 8 - (7.3 + 0.2 * (double)row);
      CHECK_NEAR(table.choices[0].offset[row], off, 1e-9);
      CHECK_NEAR(table.choices[0].deviation[row], 2 / sqrt(12), 0.01);
    }
    table_free(&table);
  }
  CHECK(deviation[1] > 1.5 * deviation[0]);
}

// Columns of role ROLE_SETTING are keys without being named.
static void settings_are_keys(void) {
  struct table table;
  struct error error = {0};
  struct reduction reduction;
  static const char *const axes[] = {"lr"};
  table_init(&table, "made", 4);
  size_t lr = table_add_number(&table, "lr", ROLE_SETTING), format = table_add_category(&table, "format", ROLE_SETTING);
  size_t loss = table_add_number(&table, "loss", ROLE_OUTCOME);
  for (size_t row = 0; row < 4; row++) {
    table.columns[lr].numbers[row] = (double)(row % 2);
    table.columns[loss].numbers[row] = 3 - 0.1 * (double)row;
    table_set_category(&table, format, row, row < 2 ? "none" : "w4");
  }
  CHECK(table_best_over(&table, NULL, axes, 1, NULL, 0, &reduction, &error));
  CHECK(table.row_count == 2);
  CHECK_NEAR(cell(&table, "loss", 0), 2.9, 1e-15);
  CHECK_NEAR(cell(&table, "loss", 1), 2.7, 1e-15);
  table_free(&table);
}

static void many_categories(void) {
  struct table table;
  char name[32];
  table_init(&table, "many", 20000);
  size_t column = table_add_category(&table, "name", ROLE_UNKNOWN);
  for (size_t row = 0; row < 20000; row++) {
    snprintf(name, sizeof name, "category %zu", row % 7000);
    table_set_category(&table, column, row, name);
  }
  CHECK(table.columns[column].category_count == 7000);
  CHECK_TEXT(category(&table, "name", 13999), "category 6999");
  table_free(&table);
}

static void check_runs(const char *text, const char *words) {
  struct table table;
  struct error error = {0};
  CHECK(table_parse_csv(&table, "runs", text, strlen(text), NULL, 0, &error));
  table_check_runs(&table);
  if (words)
    CHECK(table.note_count == 1 && strstr(table.notes[0], words));
  else
    CHECK(table.note_count == 0);
  table_free(&table);
}

// Runs whose trainer reports other units; a small model's FLOPs are many times 6ND, and that is right.
static void doubts_runs(void) {
  check_runs("N,D,C,loss\n30000,1e6,9e12,3.1\n60000,2e6,3e13,3\n", NULL);
  check_runs("N,D,loss\n30,1e6,3.1\n60,2e6,3\n", "parameters of the runs lies between 30 and 60");
  check_runs("N,D,loss\n3e4,0.5,3.1\n3e4,2,3\n", "tokens of the runs lies between 0.5 and 2");
  check_runs("N,D,C,loss\n3e4,1e6,1e3,3.1\n6e4,2e6,2e3,3\n", "times 6 N D");
  check_runs("N,D,loss\n3e4,1e6,40.5\n6e4,2e6,30.1\n", "does the trainer report a perplexity?");
}

int main(void) {
  RUN(reads_csv);
  RUN(maps_columns);
  RUN(computes_columns);
  RUN(leaves_out_an_index);
  RUN(finds_the_separator);
  RUN(reads_numbers_of_people);
  RUN(reads_wide_tables);
  RUN(drops_duplicates);
  RUN(doubts_runs);
  RUN(doubts_units);
  RUN(names_what_is_missing);
  RUN(refuses_csv);
  RUN(grows_by_rows);
  RUN(filters_rows);
  RUN(takes_the_best);
  RUN(chooses_by);
  RUN(measures_choices);
  RUN(averages);
  RUN(settings_are_keys);
  RUN(many_categories);
  return check_end();
}
