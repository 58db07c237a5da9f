// The printer of text tables: widths, sides, limits, notes, blanks at the ends of lines. Curves, lines of progress.
#include <math.h>
#include <stdlib.h>

#include "runner/terminal/progress.h"
#include "runner/terminal/sparkline.h"
#include "runner/terminal/table.h"
#include "tests/check.h"

static void check_printed(const struct text_table *table, const char *want) {
  char *printed = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&printed, &size);
  text_table_print(table, out);
  fclose(out);
  CHECK_TEXT(printed, want);
  free(printed);
}

static void columns_are_as_wide_as_their_widest_cell(void) {
  struct text_table table = {.gap = 2};
  text_table_column(&table, (struct text_column){"id"});
  text_table_column(&table, (struct text_column){"tokens", .right = true});
  text_table_column(&table, (struct text_column){"note"});
  check_printed(&table, "id  tokens  note\n");
  text_table_cell(&table, "%.3s", "abcdef");
  text_table_cell(&table, "%d", 12);
  text_table_cell(&table, "long enough");
  text_table_cell(&table, "\u03b1");  // one character of two bytes
  text_table_cell(&table, "%d", 12345678);
  text_table_cell(&table, "-");
  check_printed(&table,
                "id     tokens  note\n"
                "abc        12  long enough\n"
                "\u03b1    12345678  -\n");
  text_table_free(&table);
}

static void widths_have_limits(void) {
  struct text_table table = {.gap = 1};
  text_table_column(&table, (struct text_column){"", .least = 4});
  text_table_column(&table, (struct text_column){"x", .right = true, .least = 5});
  text_table_column(&table, (struct text_column){"most", .most = 6});
  text_table_column(&table, (struct text_column){"y", .right = true});
  const char *cells[] = {"a", "1", "123456789", "1", "b", "2", "1", "2"};
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) text_table_cell(&table, "%s", cells[i]);
  check_printed(&table,
                "         x most   y\n"
                "a        1 123456789 1\n"
                "b        2 1      2\n");
  text_table_free(&table);
}

static void notes_follow_their_row(void) {
  struct text_table table = {.gap = 1};
  text_table_column(&table, (struct text_column){"a"});
  text_table_column(&table, (struct text_column){"b"});
  text_table_cell(&table, "1");
  text_table_cell(&table, "2");
  text_table_note(&table, "  of the first\n");
  text_table_note(&table, "  and more\n");
  text_table_cell(&table, "3");
  text_table_cell(&table, "4");
  text_table_cell(&table, "5");
  text_table_cell(&table, "6");
  text_table_note(&table, "  of the last\n");
  check_printed(&table, "a b\n1 2\n  of the first\n  and more\n3 4\n5 6\n  of the last\n");
  text_table_free(&table);
}

static void no_line_ends_in_blanks(void) {
  struct text_table table = {.gap = 2};
  text_table_column(&table, (struct text_column){"name"});
  text_table_column(&table, (struct text_column){"value", .right = true});
  text_table_column(&table, (struct text_column){""});
  const char *cells[] = {"a", "", "", "", "1", "", "", "", "note"};
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) text_table_cell(&table, "%s", cells[i]);
  check_printed(&table, "name  value\na\n          1\n             note\n");
  text_table_free(&table);
}

static void lists_have_no_heads(void) {
  struct text_table list = text_list(2, 4);
  check_printed(&list, "");
  const char *cells[] = {"a", "short", "longer", "text", "b", ""};
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) text_table_cell(&list, "%s", cells[i]);
  text_table_note(&list, "      more of b\n");
  check_printed(&list, "  a      short\n  longer text\n  b\n      more of b\n");
  text_table_free(&list);
  list = text_list(0, 4);
  text_table_cell(&list, "a");
  text_table_cell(&list, "one");
  check_printed(&list, "a    one\n");
  text_table_free(&list);
}

static void check_curve(const double *values, size_t count, bool ascii, const char *want) {
  struct text out = {0};
  sparkline_add(&out, values, count, ascii);
  CHECK_TEXT(text_string(&out), want);
  text_free(&out);
}

static void curves_go_from_their_lowest_to_their_highest(void) {
  const double fall[] = {8, 7, 6, 5, 4, 3, 2, 1}, gaps[] = {NAN, 2, NAN, 1, INFINITY}, flat[] = {3, 3};
  check_curve(fall, 8, false, "█▇▆▅▄▃▂▁");
  check_curve(fall, 8, true, "#*+=-:._");
  check_curve(gaps, 5, true, " # _ ");
  check_curve(flat, 2, true, "--");
  check_curve(fall, 0, false, "");
}

static void check_summary(double seconds_left, size_t finished, const char *want) {
  char *printed = NULL;
  size_t size = 0;
  FILE *null = fopen("/dev/null", "w"), *out = open_memstream(&printed, &size);
  struct progress progress = progress_start(null, "name", false);
  progress.out = out;
  progress_show(&progress,
                &(struct progress_counts){.total = 3, .finished = finished, .running = 1, .seconds_left = seconds_left},
                NULL, 0, true);
  progress_end(&progress);
  fclose(out);
  fclose(null);
  CHECK_TEXT(printed, want);
  free(printed);
}

static void progress_tells_the_time_left(void) {
  check_summary(12, 2, "name  2/3 runs done, 1 running, about 12 s left\n");
  check_summary(NAN, 2, "name  2/3 runs done, 1 running\n");
  // All steps are trained, and the last evaluations are not over.
  check_summary(0, 2, "name  2/3 runs done, 1 running, evaluating\n");
}

int main(void) {
  RUN(columns_are_as_wide_as_their_widest_cell);
  RUN(widths_have_limits);
  RUN(notes_follow_their_row);
  RUN(no_line_ends_in_blanks);
  RUN(lists_have_no_heads);
  RUN(curves_go_from_their_lowest_to_their_highest);
  RUN(progress_tells_the_time_left);
  return check_end();
}
