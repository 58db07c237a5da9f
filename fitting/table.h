// Tables of observations: made by hand or read from CSV, narrowed by conditions, reduced (best_over, average_over),
// pooled. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum column_kind { COLUMN_NUMBER, COLUMN_CATEGORY };

// What a column says about a row. It decides what makes two rows "the same configuration" in best_over and average_over
// (all settings but the axes); a CSV's columns are of unknown role and count there only when a law or a list names
// them.
enum column_role { ROLE_UNKNOWN, ROLE_SETTING, ROLE_QUANTITY, ROLE_OUTCOME };

struct table_column {
  const char *name;      // the store's name: "parameters", "train.lr"
  const char *original;  // as in the source, when --map or a short name (N, D, C) renamed it; else equal to name
  enum column_kind kind;
  enum column_role role;
  double *numbers;          // COLUMN_NUMBER: one a row, NAN where missing
  int *codes;               // COLUMN_CATEGORY: one a row, index into categories, -1 where missing
  const char **categories;  // in order of first appearance
  int category_count;
  struct name_map *index;  // codes of the categories
};

// What best_over chose from the values of an axis.
struct table_choice {
  int column;         // the axis
  bool logarithmic;   // deviation is that of its logarithm
  double *deviation;  // [rows]: how far the value chosen is from the best there is (standard deviation): the grid has
                      // steps, and noise decides among neighbours; NAN with nothing to choose from
  double *offset;     // [rows]: how far it is by the parabola through its neighbours; 0 where that has no minimum
};

struct table {
  struct arena arena;
  const char *source;  // file name, "runs of quickstart": for messages
  size_t row_count;
  const char **row_names;  // run id, or "line 12"
  int *row_lines;          // line of the file a row begins at, or NULL
  int *row_members;        // rows of the source that were averaged into this one (1 as read)
  double *row_squares;     // sum of their squared distances, in ln(target), from their mean (0 as read)
  struct table_column *columns;
  size_t column_count;
  struct name_map *names;        // of the columns
  struct table_choice *choices;  // [choice_count]: one a numeric axis of best_over
  size_t choice_count;
  const char **notes;  // choices made in reading it that its owner should see; NULL without
  size_t note_count;
  // Texts that conditions compare with a column are put into the spelling of its cells; NULL: they are taken as they
  // are.
  expression_spell *spell;
  void *spell_context;  // handed to it
};

// A table of row_count rows without columns; `source` is for messages. table_free in the end.
void table_init(struct table *table, const char *source, size_t row_count);
void table_free(struct table *table);
// Adds rows whose cells are missing, or drops the last ones. Pointers to cells do not stay valid.
void table_resize(struct table *table, size_t row_count);
// Adds a column, all values missing; the caller fills numbers, or codes through table_set_category. Pointers to columns
// stay valid only until the next one is added; column numbers stay.
size_t table_add_number(struct table *table, const char *name, enum column_role role);
size_t table_add_category(struct table *table, const char *name, enum column_role role);
// Sets a category cell; NULL is missing.
void table_set_category(struct table *table, size_t column, size_t row, const char *category);
// Adds a note.
void table_note(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Names a row (copied).
void table_name_row(struct table *table, size_t row, const char *name);
// The column of that name (N, D and C are short for parameters, tokens, flops; lr for the setting train.lr where no
// other setting ends so), or -1.
int table_find(const struct table *table, const char *name);
// The column's name nearest to `name`, or NULL.
const char *table_nearest(const struct table *table, const char *name);
// The cell as an expression's value; VALUE_MISSING where it is missing.
struct value table_value(const struct table *table, size_t column, size_t row);

// "store's name=column of the file", as --map a=b,c=d gives it.
struct column_map {
  const char *name, *original;
  const struct expression *expression;  // over columns of the file, used where it has no column `original`; or NULL
  const char *trouble;                  // why `original` is no expression
};
// Splits "parameters=N_millions*1e6,tokens=D_seen" (texts in the arena). False with an error on a malformed list.
bool column_maps_parse(struct arena *arena, const char *text, struct column_map **maps, size_t *count,
                       struct error *error);
// Reads a CSV file: a header line, then rows of as many cells (RFC 4180 quoting, LF or CRLF, UTF-8, a byte order mark
// is fine), parted by what the header has: commas, semicolons or tabs. A column is numeric when every cell that is not
// empty reads as a number: as a program writes it, with thousands (1,234,567  1 234 567  1_000) or a decimal comma; in
// columns of N, D and C, and in those that --map uses, 30M, 1.4B, 2T as well. What can be read two ways is an error, or
// a note where the file decides. Empty, NA, NaN, null and - are missing. A first column without a name that counts the
// rows (pandas' index) is left out. Errors name line and column: a ragged row, an open quote, two columns of one name,
// a map to a column that is not there. N, D and C become parameters, tokens and flops unless such a column is there
// already. A column `run_id` or `id` names the rows.
bool table_read_csv(struct table *table, const char *path, const struct column_map *maps, size_t map_count,
                    struct error *error);
bool table_parse_csv(struct table *table, const char *name, const char *bytes, size_t length,
                     const struct column_map *maps, size_t map_count, struct error *error);

// Parses an expression over the columns, its texts spelt as theirs; NULL on error.
struct expression *table_expression(const struct table *table, struct arena *arena, const char *text,
                                    struct error *error);
// Marks in keep[row] the rows for which `condition` holds. A comparison with a missing number is false (as NaN), a
// missing text is "". Unknown columns are errors with the nearest name.
bool table_where(const struct table *table, const char *condition, bool *keep, struct error *error);
// The same of a parsed condition; `what` begins its errors ("condition 'N > 1'").
bool table_where_expression(const struct table *table, const struct expression *condition, const char *what, bool *keep,
                            struct error *error);
// Drops the rows that are not marked.
void table_keep_rows(struct table *table, const bool *keep);

// Begins a pooled table: a column `pool` says `label` in every row. table_pool then puts the rows of another table
// below them, with columns united by name (numbers become texts where the other table has texts) and its rows named
// "LABEL ROW". Pointers to columns do not stay valid.
void table_pool_begin(struct table *table, const char *label);
void table_pool(struct table *table, const struct table *other, const char *label);

// Drops rows that repeat an earlier one: equal in the key columns that there are and in the target, and, unless the
// target has six digits or more, equal or missing in every other column that does not merely name the row. Rows with a
// missing cell among these stay. Returns how many were dropped.
size_t table_drop_duplicates(struct table *table, const char *target, const char *const *keys, size_t key_count);
// How many that would drop.
size_t table_count_duplicates(const struct table *table, const char *target, const char *const *keys, size_t key_count);

struct law;
// False with one error for all columns of the law that are not there, with a --map of those that look like them; and
// where a column of numbers has a cell that is none.
bool table_fits_law(const struct table *table, const struct law *law, struct error *error);
// Notes where N, D, C or the loss of the rows [row_count] cannot be in the unit that is meant, as far as the laws use
// them.
void table_check_units(struct table *table, const struct law *laws, size_t law_count, const bool *rows);

// The same of runs, whose trainer reported them: N, D, their product with C, and the loss; only what cannot be.
void table_check_runs(struct table *table);

// What a reduction did, for the report.
struct reduction {
  size_t rows_before, rows_after;
  const char **warnings;  // in the table's arena: "12 of 40 best train.lr lie on the edge of their grid (...)"
  size_t warning_count;
  double noise;          // average_over: pooled standard deviation of ln(target) within configurations; NAN if unknown
  size_t noise_degrees;  // degrees of freedom of it
};
// Keeps, of the rows that are equal in all key columns, the one where the expression `by` is lowest (NULL: loss;
// -accuracy where more is better). Rows where it is not finite, and those of runs that failed or did not end (State =
// crashed, diverged = true), are never kept and are reported, as is a best row on the edge of the values that an axis
// takes in its group. Fills table->choices. Keys are the columns of role ROLE_SETTING and the columns named in keys[],
// without the axes and what `by` is made of. Unknown axes are errors.
bool table_best_over(struct table *table, const char *by, const char *const *axes, size_t axis_count,
                     const char *const *keys, size_t key_count, struct reduction *reduction, struct error *error);
// Replaces the rows that are equal in all key columns by one: the mean of the targets and of the other numeric outcomes
// over the rows where the first target is finite. row_members says how many there were; the noise is of the first
// target. A bootstrap then resamples configurations with all their seeds. Where none is finite the configuration is
// left out and told; with `keep_empty` it stays, as one row without a target, for table_best_over to know of.
bool table_average_over(struct table *table, const char *const *targets, size_t target_count, const char *const *axes,
                        size_t axis_count, const char *const *keys, size_t key_count, bool keep_empty,
                        struct reduction *reduction, struct error *error);
// Notes rows that take part though their run failed or did not end, by a column that says so.
void table_check_states(struct table *table, const char *target, const bool *rows);

// The columns of a list "run" or "parameters, format" (a column whose name is the whole list is meant first); false
// with an error for one that the table does not have.
bool table_columns_listed(const struct table *table, const char *list, struct arena *arena, int **columns, int *count,
                          struct error *error);
// Puts rows that are equal in the columns into one group: group[row] from 0 by first appearance, -1 for rows that
// `rows` (NULL: all take part) leaves out. Returns the number of groups.
int table_partition(const struct table *table, const int *columns, int count, const bool *rows, int *group);
