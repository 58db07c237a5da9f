// What is wrong with a table before a law is fitted to it: columns that are not there, units that cannot be.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "fitting/table_internal.h"

// ---- names that people give to the law's columns ----

enum { WORDS = 12, WORD_LENGTH = 24 };

struct words {  // of a column's name, in small letters
  char word[WORDS][WORD_LENGTH];
  int count;
  double unit;  // that the last one names, or 0
};

static double unit_of(const char *word, size_t length) {
  static const struct {
    const char *word;
    double unit;
  } units[] = {{"K", 1e3},  {"thousands", 1e3}, {"M", 1e6},       {"millions", 1e6}, {"million", 1e6},   {"B", 1e9},
               {"bn", 1e9}, {"billions", 1e9},  {"billion", 1e9}, {"T", 1e12},       {"trillions", 1e12}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strlen(units[i].word) == length && memcmp(units[i].word, word, length) == 0) return units[i].unit;
  return 0;
}

static void split_words(const char *name, struct words *words) {
  *words = (struct words){0};
  while (*name && words->count < WORDS) {
    while (*name && !isalnum((unsigned char)*name)) name++;
    size_t length = 0;
    while (isalnum((unsigned char)name[length]) &&
           !(length && islower((unsigned char)name[length - 1]) && isupper((unsigned char)name[length])))
      length++;
    if (!length) break;
    double unit = words->count ? unit_of(name, length) : 0;
    if (unit) words->unit = unit;
    char *word = words->word[words->count];
    size_t kept = length < WORD_LENGTH ? length : WORD_LENGTH - 1;
    for (size_t i = 0; i < kept && !unit; i++) word[i] = (char)tolower((unsigned char)name[i]);
    words->count += !unit;
    name += length;
  }
}

static bool one_of(const char *word, const char *list) {  // of words with a space on either side
  char wanted[WORD_LENGTH + 2];
  snprintf(wanted, sizeof wanted, " %s ", word);
  return strstr(list, wanted) != NULL;
}

static const struct quantity_words {
  const char *column, *core;
} quantities[] = {{"parameters", " n param params parameter parameters size "},
                  {"tokens", " d token tokens data "},
                  {"flops", " c flop flops compute "},
                  {"loss", " loss nll ce crossentropy xent entropy ppl perplexity "},
                  {"format", " format precision dtype quantization quant "}};

// Steps of training tell tokens where a step's tokens are known.
static const char *step_column(const struct table *table) {
  struct words words;
  for (size_t c = 0; c < table->column_count; c++) {
    split_words(table->columns[c].name, &words);
    if (words.count && table->columns[c].kind == COLUMN_NUMBER &&
        one_of(words.word[words.count - 1], " step steps iteration iterations iter iters "))
      return table->columns[c].name;
  }
  return NULL;
}

// How likely the column is the law's one of this name: 0 is no.
static int likeness(const struct words *words, const struct quantity_words *quantity) {
  static const char around[] =
      " train training trained eval val validation valid test final total num nr number of count model seen last mean avg "
      "summary config processed consumed non embedding nonembedding active n cross ";
  int core = 0, score = 10;
  for (int i = 0; i < words->count; i++) {
    bool is_core = one_of(words->word[i], quantity->core);
    bool fills = i + 1 < words->count && strcmp(words->word[i], "n") == 0 &&
                 one_of(words->word[i + 1], " tokens params parameters flops nonembedding ");
    if (is_core && !fills)
      core++;
    else if (!one_of(words->word[i], around))
      return 0;
    if (one_of(words->word[i], " val validation valid eval test ")) score += 4;
    if (one_of(words->word[i], " train training ") && strcmp(quantity->column, "loss") == 0) score -= 2;
    if (one_of(words->word[i], " ppl perplexity ")) score -= 4;
  }
  return core == 1 ? score - words->count : 0;
}

static bool plain_word(const char *name) {
  if (isdigit((unsigned char)*name)) return false;
  for (; *name; name++)
    if (!isalnum((unsigned char)*name) && *name != '_') return false;
  return true;
}

// "tokens=`seen (B)`*1e9", or NULL where no column looks like it.
static const char *likely_map(const struct table *table, const char *column, struct arena *arena) {
  const struct table_column *best = NULL;
  struct words words, best_words = {0};
  int highest = 0;
  for (size_t q = 0; q < sizeof quantities / sizeof *quantities; q++) {
    if (strcmp(quantities[q].column, column) != 0) continue;
    for (size_t c = 0; c < table->column_count; c++) {
      split_words(table->columns[c].name, &words);
      int score = likeness(&words, &quantities[q]);
      if (score <= highest) continue;
      highest = score;
      best = &table->columns[c];
      best_words = words;
    }
  }
  const char *step = !best && strcmp(column, "tokens") == 0 ? step_column(table) : NULL;
  if (step)
    return arena_format(arena, plain_word(step) ? "%s=%s*TOKENS_A_STEP" : "%s=`%s`*TOKENS_A_STEP", column, step);
  if (!best) {
    const char *nearest = table_nearest(table, column);
    for (size_t q = 0; q < sizeof quantities / sizeof *quantities && nearest; q++)
      if (strcmp(quantities[q].column, nearest) == 0) nearest = NULL;  // that one is what it says
    return nearest ? arena_format(arena, "%s=%s", column, nearest) : NULL;
  }
  bool perplexity = false;
  for (int i = 0; i < best_words.count; i++) perplexity |= one_of(best_words.word[i], " ppl perplexity ");
  if (!perplexity && !best_words.unit) return arena_format(arena, "%s=%s", column, best->name);
  const char *quote = plain_word(best->name) ? "" : "`";
  if (perplexity) return arena_format(arena, "%s=log(%s%s%s)", column, quote, best->name, quote);
  return arena_format(arena, "%s=%s%s%s*1e%.0f", column, quote, best->name, quote, log10(best_words.unit));
}

// ---- columns that are not there ----

static const char *short_name(const char *column) {
  static const char *const names[] = {"N", "D", "C"};
  for (size_t i = 0; i < 3; i++)
    if (strcmp(column_canonical(names[i]), column) == 0) return names[i];
  return NULL;
}

static bool missing_columns(const struct table *table, const struct law *law, struct error *error) {
  struct arena arena = {0};
  struct text missing = {0}, map = {0}, there = {0};
  for (int i = 0; i <= law->column_count; i++) {
    const char *column = i < law->column_count ? law->columns[i] : law->target, *brief = short_name(column);
    if (table_find(table, column) >= 0) continue;
    text_format(&missing, "%sno column '%s'%s%s%s", missing.length ? ", " : "", column, brief ? " (" : "",
                brief ? brief : "", brief ? ")" : "");
    const char *likely = likely_map(table, column, &arena);
    if (likely) text_format(&map, "%s%s", map.length ? "," : "", likely);
  }
  for (size_t i = 0; i < table->column_count && i < 30; i++)
    text_format(&there, "%s%s", i ? ", " : "", table->columns[i].original);
  if (table->column_count > 30) text_add(&there, ", ...");
  bool fine = !missing.length;
  if (!fine && map.length)
    error_set(error, EXIT_USAGE_ERROR,
              "%s: the law %s needs what is not there: %s; perhaps --map '%.800s'? (there are: %.1500s)", table->source,
              law->name, text_string(&missing), text_string(&map), text_string(&there));
  else if (!fine)
    error_set(error, EXIT_USAGE_ERROR,
              "%s: the law %s needs what is not there: %s; name the columns with --map (there are: %.1500s)",
              table->source, law->name, text_string(&missing), text_string(&there));
  text_free(&missing);
  text_free(&map);
  text_free(&there);
  arena_free(&arena);
  return fine;
}

// N, D, C and the target are numbers; the first cell that is none is named.
static bool number_columns(const struct table *table, const struct law *law, struct error *error) {
  for (int i = 0; i <= law->column_count; i++) {
    const char *name = i < law->column_count ? law->columns[i] : law->target;
    const struct table_column *column = &table->columns[table_find(table, name)];
    if (column->kind == COLUMN_NUMBER || (!short_name(name) && i < law->column_count)) continue;
    for (size_t row = 0; row < table->row_count; row++) {
      double number;
      struct value value = table_value(table, (size_t)(column - table->columns), row);
      if (value.kind != VALUE_TEXT || number_parse(value.text, &number)) continue;
      return error_set(error, EXIT_USAGE_ERROR, "%s: %s: column '%s': '%.100s' is no number, and %s is one",
                       table->source, table->row_names[row], column->original, value.text, name);
    }
  }
  return true;
}

bool table_fits_law(const struct table *table, const struct law *law, struct error *error) {
  return missing_columns(table, law, error) && number_columns(table, law, error);
}

// ---- units that cannot be ----

struct range {
  size_t count;
  double low, median, high;
};

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static struct range range_of(double *values, size_t count) {
  qsort(values, count, sizeof *values, by_value);
  if (!count) return (struct range){0};
  return (struct range){count, values[0], values[count / 2], values[count - 1]};
}

// The column's positive numbers in the rows; none where there is no such column.
static struct range column_range(const struct table *table, const char *name, const bool *rows, struct arena *arena) {
  double *values = arena_array(arena, table->row_count + 1, sizeof *values);
  int column = table_find(table, name);
  size_t count = 0;
  if (column < 0 || table->columns[column].kind != COLUMN_NUMBER) return (struct range){0};
  for (size_t row = 0; row < table->row_count; row++) {
    double value = table->columns[column].numbers[row];
    if (rows[row] && isfinite(value) && value > 0) values[count++] = value;
  }
  return range_of(values, count);
}

// C over 6 N D.
static struct range ratio_range(const struct table *table, const bool *rows, struct arena *arena) {
  double *values = arena_array(arena, table->row_count + 1, sizeof *values);
  int n = table_find(table, "parameters"), d = table_find(table, "tokens"), c = table_find(table, "flops");
  size_t count = 0;
  if (n < 0 || d < 0 || c < 0 || table->columns[n].kind != COLUMN_NUMBER || table->columns[d].kind != COLUMN_NUMBER ||
      table->columns[c].kind != COLUMN_NUMBER)
    return (struct range){0};
  for (size_t row = 0; row < table->row_count; row++) {
    double ratio =
        table->columns[c].numbers[row] / (6 * table->columns[n].numbers[row] * table->columns[d].numbers[row]);
    if (rows[row] && isfinite(ratio) && ratio > 0) values[count++] = ratio;
  }
  return range_of(values, count);
}

static const char *original_of(struct table *table, const char *name) {
  const char *original = table->columns[table_find(table, name)].original;
  if (plain_word(original) || strpbrk(original, "*/+`")) return original;
  return strchr(original, '`') ? "COLUMN" : arena_format(&table->arena, "`%s`", original);
}

// D over N: a model that has seen a token for every hundred of its parameters is not trained, so those are steps, or
// one of both is in another unit.
static void check_ratio(struct table *table, const bool *rows, struct arena *arena) {
  double *values = arena_array(arena, table->row_count + 1, sizeof *values);
  int n = table_find(table, "parameters"), d = table_find(table, "tokens");
  size_t count = 0;
  char number[32];
  if (n < 0 || d < 0 || table->columns[n].kind != COLUMN_NUMBER || table->columns[d].kind != COLUMN_NUMBER) return;
  for (size_t row = 0; row < table->row_count; row++) {
    double ratio = table->columns[d].numbers[row] / table->columns[n].numbers[row];
    if (rows[row] && isfinite(ratio) && ratio > 0) values[count++] = ratio;
  }
  struct range range = range_of(values, count);
  if (count && range.median < 0.01)
    table_note(table,
               "tokens is %s of parameters in the median: are they steps, or is one of the two in another unit? (--map "
               "'tokens=%s*TOKENS_A_STEP')",
               number_digits(range.median, 2, number), original_of(table, "tokens"));
  else if (count > 2 && range.median < 1)
    table_note(table,
               "tokens is below parameters in %s, %s of it in the median: are the two columns swapped? (--map "
               "'parameters=%s,tokens=%s')",
               range.high < 1 ? "every row" : "most rows", number_digits(range.median, 2, number),
               original_of(table, "tokens"), original_of(table, "parameters"));
}

static const char *unit_digits(double unit) {
  return unit == 1e3 ? "1e3" : unit == 1e6 ? "1e6" : unit == 1e9 ? "1e9" : "1e12";
}

static void check_count(struct table *table, const char *name, const struct range *range) {
  char low[32], high[32];
  number_digits(range->low, 3, low);
  number_digits(range->high, 3, high);
  if (!range->count) return;
  const char *original = original_of(table, name);
  struct words words;
  split_words(table->columns[table_find(table, name)].original, &words);
  if (words.unit && range->high < words.unit)  // "params (M)" without a factor
    table_note(table, "%s is taken from column '%s' as it is, up to %s: is that in units of %g? (--map '%s=%s*%s')",
               name, table->columns[table_find(table, name)].original, high, words.unit, name, original,
               unit_digits(words.unit));
  else if (range->high < 1000)
    table_note(table, "%s lies between %s and %s: is it in millions or billions? (--map '%s=%s*1e6')", name, low, high,
               name, original);
  else if (range->high > 1e15)
    table_note(table, "%s goes up to %s, more than any model's: is it in another unit? (--map '%s=%s/1e6')", name, high,
               name, original);
  else if (range->low < 1000 && range->median > 1e5)
    table_note(table, "%s is %s in one row and %s in the median: are they of one unit?", name, low,
               number_digits(range->median, 3, high));
  if (range->count > 2 && range->low == range->high)
    table_note(table, "%s is %s in every row: what depends on it cannot be told from these rows", name, low);
}

static void check_compute(struct table *table, const struct range *ratio) {
  static const struct {
    double unit;
    const char *words, *map;
  } units[] = {{8.64e19, "petaflop/s-days", "8.64e19"},
               {1e21, "units of 1e21", "1e21"},
               {1e18, "units of 1e18", "1e18"},
               {1e15, "units of 1e15", "1e15"},
               {1e12, "units of 1e12", "1e12"},
               {1e9, "units of 1e9", "1e9"},
               {1e6, "units of 1e6", "1e6"}};
  char number[32];
  if (!ratio->count || (ratio->median <= 10 && ratio->median >= 0.1)) return;
  number_digits(ratio->median, 3, number);
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (ratio->median * units[i].unit > 1. / 3 && ratio->median * units[i].unit < 3) {
      table_note(table, "flops is %s times 6 N D: is it in %s? (--map 'flops=%s*%s')", number, units[i].words,
                 original_of(table, "flops"), units[i].map);
      return;
    }
  for (int power = 3; power <= 21; power += 3)
    if (ratio->median / pow(10, power) > 1. / 3 && ratio->median / pow(10, power) < 3) {
      table_note(table, "flops is %s times 6 N D: are parameters and tokens together 1e%d too small?", number, power);
      return;
    }
  table_note(table, "flops is %s times 6 N D: are the three of one unit?", number);
}

static bool uses(const struct law *laws, size_t law_count, const char *column) {
  for (size_t l = 0; l < law_count; l++)
    for (int i = 0; i < laws[l].column_count; i++)
      if (strcmp(laws[l].columns[i], column) == 0) return true;
  return false;
}

void table_check_units(struct table *table, const struct law *laws, size_t law_count, const bool *rows) {
  static const char *const counts[] = {"parameters", "tokens"};
  struct arena arena = {0};
  bool counted = uses(laws, law_count, "flops");
  size_t notes = table->note_count;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    if (!uses(laws, law_count, counts[i])) continue;
    counted = true;
    struct range range = column_range(table, counts[i], rows, &arena);
    check_count(table, counts[i], &range);
  }
  if (table->note_count == notes && uses(laws, law_count, "parameters") && uses(laws, law_count, "tokens"))
    check_ratio(table, rows, &arena);
  struct range ratio = ratio_range(table, rows, &arena);
  if (counted) check_compute(table, &ratio);
  struct range target = column_range(table, "loss", rows, &arena);
  char number[32];
  static const double uniform = 12;  // nats: of a uniform choice among 160 thousand tokens
  if (strcmp(laws[0].target, "loss") == 0 && target.median > uniform)
    table_note(table, "loss is %s in the median: is it a perplexity? (--map 'loss=log(%s)')",
               number_digits(target.median, 3, number), original_of(table, "loss"));
  arena_free(&arena);
}

// ---- runs ----

static void check_run_count(struct table *table, const char *name, const bool *rows, struct arena *arena) {
  struct range range = column_range(table, name, rows, arena);
  char low[32], high[32];
  number_digits(range.low, 3, low);
  number_digits(range.high, 3, high);
  if (range.count && range.high < 1000)
    table_note(table, "%s of the runs lies between %s and %s: does the trainer report it in millions or billions?",
               name, low, high);
  else if (range.count && range.high > 1e15)
    table_note(table, "%s of the runs goes up to %s, more than any model's: does the trainer report another unit?",
               name, high);
}

void table_check_runs(struct table *table) {
  struct arena arena = {0};
  char number[32];
  bool *rows = arena_array(&arena, table->row_count + 1, sizeof *rows);
  for (size_t row = 0; row < table->row_count; row++) rows[row] = true;
  check_run_count(table, "parameters", rows, &arena);
  check_run_count(table, "tokens", rows, &arena);
  // Small models spend many times 6ND on their vocabulary and their attention; units differ by a thousand.
  struct range ratio = ratio_range(table, rows, &arena), loss = column_range(table, "loss", rows, &arena);
  if (ratio.count && (ratio.median > 1000 || ratio.median < 1e-3))
    table_note(table, "flops of the runs is %s times 6 N D: does the trainer report the three in one unit?",
               number_digits(ratio.median, 3, number));
  if (loss.median > 20)
    table_note(table, "loss of the runs is %s in the median: does the trainer report a perplexity?",
               number_digits(loss.median, 3, number));
  arena_free(&arena);
}
