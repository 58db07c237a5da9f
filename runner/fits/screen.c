// A fit on one screen: what was asked for first, then how the fit stands, then each problem once. What does not fit is
// counted, and is behind --details.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "runner/fits/internal.h"
#include "runner/terminal/table.h"

enum { LINES = 24, COLUMNS = 100, LEAST_PROBLEMS = 4, LEAST_ROWS = 5, MOST_ROWS = 10, NAME = 36, PROBLEMS = 64 };

static size_t lines_of(const struct text *text) {
  size_t lines = 0;
  for (size_t i = 0; i < text->length; i++) lines += text->bytes[i] == '\n';
  return lines;
}

// ---- paragraphs ----

static const char more[] = " ... (--details)";

// A line that no blank breaks is broken where it is full, between characters.
static void put_broken(struct text *out, const char *line, size_t length, int indent) {
  int column = 0;
  for (size_t i = 0; i < length; i++) {
    bool begins = ((unsigned char)line[i] & 0xC0) != 0x80;
    if (begins && column == COLUMNS) {
      text_format(out, "\n%*s", indent, "");
      column = indent;
    }
    column += begins;
    text_char(out, line[i]);
  }
}

// The sentence filled to lines, the first after `prefix`; of more than `most` the beginning.
static void put_paragraph(struct text *out, struct arena *arena, const char *prefix, const char *sentence, int indent,
                          size_t most) {
  struct text filled = {0}, whole = {0};
  text_add(&whole, prefix);
  text_filled(&whole, visible(arena, sentence), text_characters(prefix, strlen(prefix)), indent);
  for (const char *at = text_string(&whole); *at;) {
    size_t length = strcspn(at, "\n");
    put_broken(&filled, at, length, indent);
    text_char(&filled, '\n');
    at += length + (at[length] == '\n');
  }
  size_t end = 0, start = 0;
  for (size_t line = 0; line < most && end < filled.length; line++) {
    start = end;
    end += strcspn(filled.bytes + end, "\n") + 1;
  }
  if (end < filled.length) {
    end--;  // the line's end: words are taken off until the mark has its place
    while (end > start + COLUMNS - sizeof more ||
           (end > start && filled.bytes[end] != ' ' && filled.bytes[end] != '\n'))
      end--;
    text_append(out, filled.bytes, end);
    text_format(out, "%s\n", more);
  } else {
    text_append(out, filled.bytes, filled.length);
  }
  text_free(&whole);
  text_free(&filled);
}

// The sentence up to its first colon or semicolon outside brackets: what is wrong, without why and what to do.
static const char *first_clause(struct arena *arena, const char *sentence) {
  enum { LEAST = 9 };
  int depth = 0;
  for (size_t i = 0; sentence[i]; i++) {
    if (strchr("([", sentence[i])) depth++;
    if (strchr(")]", sentence[i])) depth--;
    if (i >= LEAST && depth <= 0 && strchr(":;", sentence[i]) && sentence[i + 1] == ' ')
      return arena_copy(arena, sentence, i);
  }
  return sentence;
}

// ---- estimates ----

struct row {
  const char *name, *value, *interval, *note;
  enum coefficient_status status;
};

static const char *number(struct arena *arena, double value, int count) {
  char text[40];
  return arena_string(arena, number_digits(value, count, text));
}

static const char *clipped(struct arena *arena, const char *name) {
  size_t length = 0, bytes = 0;
  for (; name[bytes] && length <= NAME; bytes++) length += ((unsigned char)name[bytes] & 0xC0) != 0x80;
  if (length <= NAME) return name;
  while (bytes && ((unsigned char)name[bytes] & 0xC0) == 0x80) bytes--;
  bytes = bytes > 4 ? bytes - 4 : 0;
  while (bytes && ((unsigned char)name[bytes] & 0xC0) == 0x80) bytes--;
  return arena_format(arena, "%.*s...", (int)bytes, name);
}

static struct row row_of(struct arena *arena, const char *name, enum coefficient_status status, double value,
                         double low, double high, const char *note) {
  int digits = interval_digits(low, high, 4);
  const char *interval = "";
  if (!isnan(low) || !isnan(high))
    interval = arena_format(arena, "%s .. %s", number(arena, low, digits), number(arena, high, digits));
  return (struct row){clipped(arena, name), fit_value_words(arena, status, value, high, digits > 6 ? digits : 6),
                      interval, note, status};
}

static bool is_answer(const struct law *law, const char *name) {
  const char *const *answers = law->answer_count ? law->answers : law->exponents;
  int count = law->answer_count ? law->answer_count : law->exponent_count;
  for (int i = 0; i < count; i++)
    if (strcmp(answers[i], name) == 0) return true;
  return false;
}

// The coefficients but for baselines, and of the derived quantities those that the law is fitted for.
static struct row *rows_of(struct arena *arena, const struct fit_result *result, const struct law *law, size_t *count) {
  struct row *rows = arena_array(arena, result->coefficient_count + result->derived_count + 1, sizeof *rows);
  *count = 0;
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    if (c->status != COEFFICIENT_BASELINE)
      rows[(*count)++] =
          row_of(arena, c->name, c->status, c->value, c->low, c->high, fit_coefficient_note(arena, result, law, c));
  }
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *d = &result->derived[i];
    if (is_answer(law, d->name))
      rows[(*count)++] =
          row_of(arena, d->name, d->status, d->value, d->low, d->high, fit_derived_note(arena, result, NULL, d));
  }
  return rows;
}

// The parts of a note, parted by semicolons, that have room.
static const char *note_within(struct arena *arena, const char *note, size_t room) {
  const char *text = "";
  for (const char *at = note; *at;) {
    size_t length = strcspn(at, ";");
    const char *longer = arena_format(arena, "%s%s%.*s", text, *text ? ";" : "", (int)length, at);
    if ((size_t)text_characters(longer, strlen(longer)) <= room)
      text = longer;
    else if (!*text)
      text = first_clause(arena, arena_copy(arena, at, length));
    at += length + (at[length] == ';');
  }
  return text;
}

static size_t widest(const struct row *rows, size_t count, size_t which) {
  size_t most = 0;
  for (size_t i = 0; i < count; i++) {
    const char *const cells[] = {rows[i].name, rows[i].value, rows[i].interval};
    size_t width = (size_t)text_characters(cells[which], strlen(cells[which]));
    if (width > most) most = width;
  }
  return most;
}

// "12 more coefficients, 3 not determined", and the derived quantities that are not shown; "" where all are.
static const char *others_words(struct arena *arena, const struct fit_result *result, const struct row *rows,
                                size_t shown, size_t count) {
  const char *states = "", *others = "";
  size_t derived = result->derived_count;
  for (size_t i = 0; i < count; i++)
    for (size_t d = 0; d < result->derived_count; d++) derived -= strcmp(result->derived[d].name, rows[i].name) == 0;
  for (enum coefficient_status s = COEFFICIENT_ONE_SIDED; s <= COEFFICIENT_UNIDENTIFIED; s++) {
    size_t alike = 0;
    for (size_t i = shown; i < count; i++) alike += rows[i].status == s;
    if (alike) states = arena_format(arena, "%s, %zu %s", states, alike, coefficient_status_name(s));
  }
  if (shown < count)
    others =
        arena_format(arena, "%zu more line%s of the table%s", count - shown, count - shown == 1 ? "" : "s", states);
  if (derived)
    others = arena_format(arena, "%s%s%zu derived quantit%s", others, *others ? "; " : "", derived,
                          derived == 1 ? "y" : "ies");
  return others;
}

// Returns what is not shown.
static const char *put_estimates(struct text *out, struct arena *arena, const struct fit_result *result,
                                 const struct law *law, size_t most) {
  size_t count, length = 0;
  struct row *rows = rows_of(arena, result, law, &count);
  size_t shown = count <= most ? count : most, before = 2 + 3 * 2;
  char *bytes = NULL;
  FILE *stream = open_memstream(&bytes, &length);
  struct text_table table = {.gap = 2, .indent = 2};
  const char *head = arena_format(arena, "%g %% interval", 100 * result->confidence);
  for (size_t which = 0; which < 3; which++) {
    size_t width = widest(rows, shown, which), least = which == 0 ? 9 : which == 1 ? 5 : strlen(head);
    before += width > least ? width : least;
  }
  text_table_columns(&table, (const struct text_column[]){{"parameter"}, {"value", .right = true}, {head}, {""}, {0}});
  for (size_t i = 0; i < shown; i++) {
    text_table_cell(&table, "%s", rows[i].name);
    text_table_cell(&table, "%s", rows[i].value);
    text_table_cell(&table, "%s", rows[i].interval);
    text_table_cell(&table, "%s", note_within(arena, rows[i].note, before < COLUMNS ? COLUMNS - before : 0));
  }
  text_table_print(&table, stream);
  text_table_free(&table);
  fclose(stream);
  text_append(out, bytes, length);
  free(bytes);
  return others_words(arena, result, rows, shown, count);
}

// ---- problems ----

struct problem {
  const char *prefix, *text, *brief;
  bool full;
};
struct problems {
  struct problem items[PROBLEMS];
  size_t count, left;  // those that have no place here
};

static size_t lines_for(struct arena *arena, const struct problem *problem) {
  struct text text = {0};
  put_paragraph(&text, arena, problem->prefix, problem->full ? problem->text : problem->brief, 4, SIZE_MAX);
  size_t lines = lines_of(&text);
  text_free(&text);
  return lines;
}

static void add_problem(struct problems *problems, struct arena *arena, const char *prefix, const char *text,
                        bool whole) {
  if (!text) return;
  if (problems->count == PROBLEMS) {
    problems->left++;
    return;
  }
  const char *brief = whole ? text : first_clause(arena, text);
  if (brief != text) brief = arena_format(arena, "%s ...", brief);
  problems->items[problems->count++] = (struct problem){prefix, text, brief, brief == text};
}

static void find_problems(struct problems *problems, struct arena *arena, const struct fit_result *result,
                          const struct fit_remarks *remarks, size_t count) {
  const char *const said[] = {result->grouping, result->interval_reason, fit_exclusions_sentence(arena, result)};
  for (size_t i = 0; i < result->warning_count; i++)
    if (!fit_warning_is_told(result, result->warnings[i]))
      add_problem(problems, arena, "  warning: ", result->warnings[i], false);
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) add_problem(problems, arena, "  - ", said[i], false);
  add_problem(problems, arena, "  - ", fit_replication_sentence(arena, result), true);
  // what is wrong with rows and law, unless coefficients are open: then which runs would close them
  bool open = false;
  for (size_t i = 0; i < result->coefficient_count; i++) {
    enum coefficient_status status = result->coefficients[i].status;
    open |= status == COEFFICIENT_ONE_SIDED || status == COEFFICIENT_UNIDENTIFIED;
  }
  for (size_t i = 0; i < count; i++)
    if (i || open || !remarks[i].advice) add_problem(problems, arena, "  - ", remarks[i].brief, false);
  if (count && !open && remarks[0].advice) add_problem(problems, arena, "  - ", remarks[0].brief, false);
}

// others: what else --details tells, or "".
static void put_problems(struct text *out, struct arena *arena, struct problems *problems, const char *others,
                         size_t room) {
  size_t shown = 0, lines = 0, total = 0;
  for (size_t i = 0; i < problems->count; i++) total += lines_for(arena, &problems->items[i]);
  bool all = total <= room && !problems->left;  // a line tells what is left out
  for (; shown < problems->count; shown++) {
    size_t more_lines = lines_for(arena, &problems->items[shown]);
    if (!all && lines + more_lines > room) break;
    lines += more_lines;
  }
  for (size_t i = 0; all && i < shown; i++) {  // the whole sentences, the first first, while there is room
    struct problem *problem = &problems->items[i];
    size_t brief = lines_for(arena, problem);
    bool was = problem->full;
    problem->full = true;
    size_t full = lines_for(arena, problem);
    if (total - brief + full <= room)
      total += full - brief;
    else
      problem->full = was;
  }
  bool cut = false;
  for (size_t i = 0; i < shown; i++) {
    cut |= !problems->items[i].full;
    put_paragraph(out, arena, problems->items[i].prefix,
                  problems->items[i].full ? problems->items[i].text : problems->items[i].brief, 4, SIZE_MAX);
  }
  size_t left = problems->left + problems->count - shown;
  const char *rest = left ? arena_format(arena, "%zu more remark%s", left, left == 1 ? "" : "s") : "";
  if (cut) rest = arena_format(arena, "%s%sthese in full", rest, *rest ? "; " : "");
  if (*others) rest = arena_format(arena, "%s%s%s", rest, *rest ? "; " : "", others);
  if (*rest) put_paragraph(out, arena, "  ", arena_format(arena, "(--details: %s)", rest), 4, 2);
}

// ---- the screen ----

// The answer: as many of its sentences as three lines hold.
static void put_answer(struct text *out, struct arena *arena, const struct fit_result *result) {
  if (result->answer) put_paragraph(out, arena, "", result->answer, 2, 3);
  text_char(out, '\n');
}

static void put_law(struct text *out, struct arena *arena, const struct fit_result *result,
                    const struct fit_notes *notes) {
  const char *rows = arena_format(arena, "%s; %s", fit_rows_sentence(arena, result), fit_loss_sentence(arena, result));
  put_paragraph(out, arena, "", arena_format(arena, "%s: %s = %s", result->name, result->target, result->formula), 2,
                2);
  if (result->duplicates) rows = arena_format(arena, "%s; --keep-duplicates counts all", rows);
  if (notes && notes->rows_before)
    rows = arena_format(arena, "%s; %zu rows before best_over and average_over", rows, notes->rows_before);
  if (notes && !isnan(notes->noise) && notes->noise_degrees)
    rows = arena_format(arena, "%s; runs averaged scatter by %s in ln(%s) (%zu degree%s of freedom)", rows,
                        number(arena, notes->noise, 3), result->target, notes->noise_degrees,
                        notes->noise_degrees == 1 ? "" : "s");
  put_paragraph(out, arena, "  ", rows, 4, SIZE_MAX);  // counts of what is left out are never cut
}

// What options asked for, whole.
static void put_asked(struct text *out, struct arena *arena, const struct fit_result *result,
                      const struct fit_remarks *remarks, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!remarks[i].asked) continue;
    put_paragraph(out, arena, "  ", arena_format(arena, "%s:", remarks[i].title), 4, SIZE_MAX);
    for (size_t k = 0; k < remarks[i].count; k++) put_paragraph(out, arena, "   - ", remarks[i].items[k], 5, SIZE_MAX);
  }
  for (size_t i = 0; i < result->global_count; i++)
    put_paragraph(out, arena, "  ", fit_global_sentence(arena, result, &result->globals[i]), 4, SIZE_MAX);
  if (!isnan(result->holdout_error)) put_paragraph(out, arena, "  ", fit_holdout_sentence(arena, result), 4, SIZE_MAX);
  const char *std = fit_std_sentence(arena, result);
  if (std) put_paragraph(out, arena, "  ", std, 4, SIZE_MAX);
}

static void put_quality(struct text *out, struct arena *arena, const struct fit_result *result) {
  const char *objective = fit_objective_sentence(arena, result), *starts = fit_agreement_sentence(arena, result),
             *intervals = fit_interval_sentence(arena, result), *condition = fit_correlation_sentence(arena, result);
  put_paragraph(out, arena, "  ", arena_format(arena, "%s; %s", objective, starts), 4, 3);
  if (condition) condition = first_clause(arena, condition);
  if (intervals || condition)
    put_paragraph(out, arena, "  ",
                  arena_format(arena, "%s%s%s", intervals ? intervals : "", intervals && condition ? "; " : "",
                               condition ? condition : ""),
                  4, 2);
}

void fit_print_screen(const struct fit_result *result, const struct law *law, const struct fit_notes *notes,
                      FILE *out) {
  struct arena arena = {0};
  struct fit_remarks remarks[FIT_REMARKS];
  struct text head = {0}, table = {0}, asked = {0}, quality = {0}, made = {0}, trouble = {0};
  struct problems problems = {0};
  size_t count = fit_remarks(&arena, result, remarks);
  put_answer(&head, &arena, result);
  put_law(&head, &arena, result, notes);
  put_asked(&asked, &arena, result, remarks, count);
  put_quality(&quality, &arena, result);
  const char *made_by = fit_made_sentence(&arena, result);
  if (made_by) put_paragraph(&made, &arena, "  ", made_by, 4, 3);
  find_problems(&problems, &arena, result, remarks, count);
  size_t fixed = lines_of(&head) + lines_of(&quality) + lines_of(&made) + 4;  // the table's head, blanks, what is cut
  size_t least = problems.count < LEAST_PROBLEMS ? problems.count : LEAST_PROBLEMS, most = LEAST_ROWS;
  if (fixed + least + LEAST_ROWS < LINES) most = LINES - fixed - least;
  const char *others = put_estimates(&table, &arena, result, law, most < MOST_ROWS ? most : MOST_ROWS);
  fixed += lines_of(&table) - 1;
  put_problems(&trouble, &arena, &problems, others, fixed + least < LINES ? LINES - fixed : least);
  fprintf(out, "%s\n%s%s%s\n%s%s%s", text_string(&head), text_string(&table), asked.length ? "\n" : "",
          text_string(&asked), text_string(&quality), text_string(&trouble), text_string(&made));
  struct text *const texts[] = {&head, &table, &asked, &quality, &made, &trouble};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) text_free(texts[i]);
  arena_free(&arena);
}
