// See claim_runs.h.
#include "runner/fits/claim_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "runner/fits/chain_ends.h"
#include "runner/spec/internal.h"
#include "trainer/config.h"
#include "trainer/stages/tune.h"

enum { ENOUGH_DEGREES = 10 };                      // of freedom, for a standard deviation known to a quarter of itself
static const uint64_t draw_seed = 0x636c61696d73;  // any number: draws are the same in every call

// ---- which runs ----

static void ask_for(struct claim_runs *runs, const char *column) {
  for (size_t i = 0; i < runs->asked_count; i++)
    if (strcmp(runs->asked[i], column) == 0) return;
  runs->asked = arena_grow(runs->arena, runs->asked, runs->asked_count, runs->asked_count + 1, sizeof *runs->asked);
  runs->asked[runs->asked_count++] = arena_string(runs->arena, column);
}

static void name_formats(struct claim_runs *runs, const struct table_column *formats) {
  runs->formats = arena_array(runs->arena, (size_t)formats->category_count + 1, sizeof *runs->formats);
  for (int i = 0; i < formats->category_count; i++)
    runs->formats[i] = format_canonical(formats->categories[i], runs->arena);
}

// Marks the rows of a format, by whichever of its names: w4 is int4. False when no row has it.
static bool select_format(struct claim_runs *runs, const char *format, bool *selected) {
  const struct table *table = runs->table;
  int column = table_find(table, "format");
  if (column < 0 || table->columns[column].kind != COLUMN_CATEGORY) return false;
  const struct table_column *formats = &table->columns[column];
  if (!runs->formats) name_formats(runs, formats);
  const char *wanted = format_canonical(format, runs->arena);
  bool any = false;
  for (size_t row = 0; row < table->row_count; row++) {
    int code = formats->codes[row];
    selected[row] = code >= 0 && strcmp(runs->formats[code], wanted) == 0;
    any |= selected[row];
  }
  return any;
}

static void keep_ends(const struct claim_runs *runs, bool *selected) {
  for (size_t row = 0; row < runs->table->row_count; row++) selected[row] = selected[row] && runs->ends[row];
}

// The rows of a format, or those for which a condition holds.
static bool select_rows(struct claim_runs *runs, const struct expression_name *name, bool *selected,
                        struct text *trouble) {
  const struct table *table = runs->table;
  struct error error = {0};
  if (select_format(runs, name->index, selected)) {
    keep_ends(runs, selected);
    ask_for(runs, "format");
    return true;
  }
  if (!name->index_quoted) {
    text_format(trouble, "no finished run has the format %s", name->index);
    return false;
  }
  struct expression *condition = table_expression(runs->table, runs->arena, name->index, &error);
  const char *what = arena_format(runs->arena, "condition '%s'", name->index);
  if (!condition || !table_where_expression(table, condition, what, selected, &error)) {
    text_format(trouble, "condition \"%s\": %s", name->index, error.text);
    return false;
  }
  if (!names_stage(condition)) keep_ends(runs, selected);
  for (int i = 0; i < condition->name_count; i++) ask_for(runs, condition->names[i].name);
  return true;
}

bool claim_runs_add(struct claim_runs *runs, const struct expression_name *name, size_t *term, struct text *trouble) {
  int column = table_find(runs->table, name->name);
  if (column < 0 || !name->index || runs->table->columns[column].kind != COLUMN_NUMBER) {
    text_format(trouble, "no fit has %s%s%s%s, and it is no number of runs", name->name, name->index ? "[" : "",
                name->index ? name->index : "", name->index ? "]" : "");
    return false;
  }
  bool *selected = arena_array(runs->arena, runs->table->row_count + 1, sizeof *selected);
  if (!select_rows(runs, name, selected, trouble)) return false;
  if (runs->count == runs->capacity) {
    size_t capacity = runs->capacity ? 2 * runs->capacity : 4;
    runs->terms = arena_grow(runs->arena, runs->terms, runs->count, capacity, sizeof *runs->terms);
    runs->capacity = capacity;
  }
  *term = runs->count;
  runs->terms[runs->count++] = (struct run_term){
      .label = arena_format(runs->arena, "%s[%s]", name->name, name->index),
      .column = column,
      .selected = selected,
      .noise = NAN,
  };
  return true;
}

// ---- like with like ----

// Of a stage's fields: its format, or one that stands for it (bits, group): of a further training nothing does.
static bool spells_format(const struct run_field *field) {
  if (strcmp(field->stage, TUNE_STAGE) == 0) return field->groups & GROUP_FORMAT;
  return field->groups & GROUP_FORMAT || field->effect == EFFECT_RESOLVED || field->counts_when;
}

// Whether a condition on `column` chooses among the values of the axis `path`.
static bool column_chooses(const char *column, const char *path) {
  if (strcmp(column, path) == 0) return true;
  const struct run_column *found = run_column_find(column);
  const struct run_field *field = field_find(path, NULL);
  const struct run_field *asked = field_find(column, NULL);
  unsigned chooses = found ? found->chooses : CHOOSES_NOTHING;
  if (field && asked && field->stage && asked->stage && strcmp(field->stage, asked->stage) == 0)
    return (asked->groups & GROUP_FORMAT && spells_format(field)) ||
           (field->groups & GROUP_FORMAT && spells_format(asked));
  return ((chooses & CHOOSES_FORMAT) && field && field->stage && spells_format(field)) ||
         ((chooses & CHOOSES_FORMAT) && strcmp(path, "format") == 0) ||
         ((chooses & CHOOSES_STATE) && field && (field->groups & GROUP_STATE)) ||
         ((chooses & CHOOSES_LENGTH) && field && (field->groups & GROUP_BUDGET)) ||
         ((chooses & CHOOSES_SIZE) && starts_with(path, "model."));
}

static void add_cell(const struct table *table, int column, size_t row, struct text *key) {
  struct value value = table_value(table, (size_t)column, row);
  if (value.kind == VALUE_TEXT)
    text_format(key, "%s\n", value.text);
  else
    text_format(key, "%.17g\n", value.kind == VALUE_MISSING ? NAN : value.number);
}

// Whether the spec gives a field several values: in a sweep, or in a value of its stage.
static bool is_axis(const struct spec *spec, const struct run_field *field) {
  for (size_t s = 0; s < spec->sweep_count; s++)
    for (size_t g = 0; g < spec->sweeps[s].group_count; g++)
      for (size_t a = 0; a < spec->sweeps[s].groups[g].axis_count; a++)
        if (spec->sweeps[s].groups[g].axes[a].field == field) return true;
  for (size_t s = 0; s < spec->stage_count; s++)
    for (size_t v = 0; v < spec->stages[s].count; v++) {
      const struct spec_sweep *settings = &spec->stages[s].values[v].settings;
      for (size_t g = 0; g < settings->group_count; g++)
        if (settings->groups[g].axes[0].field == field && settings->groups[g].count > 1) return true;
    }
  return false;
}

// Numbers rows by equal texts: 0, 1, ... in order of appearance.
static size_t number_keys(struct arena *arena, const char **keys, size_t count, size_t *numbers) {
  size_t distinct = 0;
  const char **seen = arena_array(arena, count + 1, sizeof *seen);
  for (size_t i = 0; i < count; i++) {
    size_t k = 0;
    while (k < distinct && strcmp(seen[k], keys[i]) != 0) k++;
    if (k == distinct) seen[distinct++] = keys[i];
    numbers[i] = k;
  }
  return distinct;
}

// Whether a term has a run with the value that the column has in `row`.
static bool has_value(const struct claim_runs *runs, const struct run_term *term, size_t column, size_t row) {
  struct value wanted = table_value(runs->table, column, row);
  for (size_t k = 0; k < runs->table->row_count; k++) {
    if (!term->selected[k]) continue;
    struct value value = table_value(runs->table, column, k);
    if (value.kind != wanted.kind) continue;
    if (value.kind == VALUE_TEXT ? strcmp(value.text, wanted.text) == 0
                                 : value.kind == VALUE_MISSING || value.number == wanted.number)
      return true;
  }
  return false;
}

// Whether conditions choose the same values of an axis for all of several means (each says model.width == 32): then
// nothing is compared over it, and it is an axis like those that no condition names.
static bool chosen_alike(const struct claim_runs *runs, size_t column) {
  for (size_t t = 0; t < runs->count && runs->count > 1; t++)
    for (size_t row = 0; row < runs->table->row_count; row++)
      for (size_t other = 0; runs->terms[t].selected[row] && other < runs->count; other++)
        if (other != t && !has_value(runs, &runs->terms[other], column, row)) return false;
  return runs->count > 1;
}

// groups[row]: the combination of the sweep's axes but those that conditions choose among, and but the seed.
static size_t group_rows(const struct claim_runs *runs, size_t *groups) {
  const struct table *table = runs->table;
  const char **keys = arena_array(runs->arena, table->row_count + 1, sizeof *keys);
  size_t fields = spec_field_count(runs->spec);
  int *compared = arena_array(runs->arena, fields + 1, sizeof *compared);  // columns; -1: not among them
  for (size_t f = 0; f < fields; f++) {
    const struct run_field *field = spec_field_at(runs->spec, f);
    bool chosen = false;
    for (size_t i = 0; i < runs->asked_count; i++) chosen |= column_chooses(runs->asked[i], field->path);
    int column = is_axis(runs->spec, field) && strcmp(field->path, "seed") != 0 ? table_find(table, field->path) : -1;
    compared[f] = column >= 0 && chosen && !chosen_alike(runs, (size_t)column) ? -1 : column;
  }
  for (size_t row = 0; row < table->row_count; row++) {
    struct text key = {0};
    for (size_t f = 0; f < fields; f++) {
      if (compared[f] >= 0) add_cell(table, compared[f], row, &key);
    }
    keys[row] = arena_string(runs->arena, text_string(&key));
    text_free(&key);
  }
  return number_keys(runs->arena, keys, table->row_count, groups);
}

// configurations[row]: all settings but the seed.
static size_t configure_rows(const struct claim_runs *runs, size_t *configurations) {
  const struct table *table = runs->table;
  const char **keys = arena_array(runs->arena, table->row_count + 1, sizeof *keys);
  for (size_t row = 0; row < table->row_count; row++) {
    struct text key = {0};
    for (size_t c = 0; c < table->column_count; c++)
      if (table->columns[c].role == ROLE_SETTING && strcmp(table->columns[c].name, "seed") != 0)
        add_cell(table, (int)c, row, &key);
    keys[row] = arena_string(runs->arena, text_string(&key));
    text_free(&key);
  }
  return number_keys(runs->arena, keys, table->row_count, configurations);
}

static double seed_of(const struct claim_runs *runs, size_t row) {
  int column = table_find(runs->table, "seed");
  return column < 0 ? 0 : runs->table->columns[column].numbers[row];
}

static double cell_of(const struct claim_runs *runs, const struct run_term *term, size_t row) {
  double value = runs->table->columns[term->column].numbers[row];
  return term->logarithm ? log(value) : value;
}

// Whether a term has a run of that group and seed.
static bool has_seed(const struct claim_runs *runs, const struct run_term *term, const size_t *groups, size_t group,
                     double seed) {
  for (size_t row = 0; row < runs->table->row_count; row++)
    if (term->selected[row] && groups[row] == group && seed_of(runs, row) == seed) return true;
  return false;
}

// ---- noise ----

// The noise of one run of the term's column. paired: what is left when a seed's effect on all configurations of a group
// is taken out (groups whose configurations were all run with the same seeds); else the spread within configurations.
// Rows without the value, of other stages, say nothing of its noise. Of groups with a zero in `among` nothing is
// learnt.
static void find_noise(const struct claim_runs *runs, struct run_term *term, const size_t *groups, size_t group_count,
                       const size_t *configurations, const bool *among, bool paired) {
  size_t n = runs->table->row_count, *rows = arena_array(runs->arena, n + 1, sizeof *rows);
  const double *cells = runs->table->columns[term->column].numbers;
  double squares = 0;
  for (size_t group = 0; group < group_count; group++) {
    if (!among[group]) continue;
    // The runs of this group whose configuration has several: ordered by configuration.
    size_t count = 0, blocks = 0, width = 0;
    bool complete = true;
    for (size_t first = 0; first < n; first++) {
      if (groups[first] != group || !isfinite(cells[first])) continue;
      size_t before = count;
      bool seen = false;
      for (size_t row = 0; row < n; row++) {
        if (groups[row] != group || configurations[row] != configurations[first] || !isfinite(cells[row])) continue;
        seen |= row < first;
        if (!seen) rows[count++] = row;
      }
      if (seen || count - before < 2) {
        count = before;
        continue;
      }
      complete &= !blocks || width == count - before;
      for (size_t k = before; k < count && blocks && complete; k++)
        complete = seed_of(runs, rows[k]) == seed_of(runs, rows[k - before]);
      width = count - before;
      blocks++;
      double mean = 0, spread = 0;
      for (size_t k = before; k < count; k++) mean += cell_of(runs, term, rows[k]) / (double)width;
      for (size_t k = before; k < count; k++) {
        double left = cell_of(runs, term, rows[k]) - mean;
        spread += left * left;
      }
      if (paired) continue;
      squares += spread;
      term->degrees += width - 1;
    }
    if (!paired || !complete || blocks < 2) continue;
    double all = 0;
    for (size_t k = 0; k < count; k++) all += cell_of(runs, term, rows[k]) / (double)count;
    for (size_t k = 0; k < count; k++) {
      double of_block = 0, of_seed = 0;
      for (size_t j = 0; j < width; j++) of_block += cell_of(runs, term, rows[k / width * width + j]) / (double)width;
      for (size_t b = 0; b < blocks; b++) of_seed += cell_of(runs, term, rows[b * width + k % width]) / (double)blocks;
      double left = cell_of(runs, term, rows[k]) - of_block - of_seed + all;
      squares += left * left;
    }
    term->degrees += (width - 1) * (blocks - 1);
  }
  if (term->degrees) term->noise = sqrt(squares / (double)term->degrees);
}

bool claim_runs_match(struct claim_runs *runs, struct text *trouble) {
  size_t n = runs->table->row_count;
  size_t *groups = arena_array(runs->arena, n + 1, sizeof *groups),
         *configurations = arena_array(runs->arena, n + 1, sizeof *configurations);
  for (size_t t = 0; t < runs->count; t++) {
    struct run_term *term = &runs->terms[t];
    term->means = arena_array(runs->arena, n + 1, sizeof *term->means);
    term->counts = arena_array(runs->arena, n + 1, sizeof *term->counts);
    term->same = arena_array(runs->arena, n + 1, sizeof *term->same);
    term->logarithm = true;
    const double *cells = runs->table->columns[term->column].numbers;
    for (size_t row = 0; row < n; row++) {
      term->selected[row] = term->selected[row] && isfinite(cells[row]);
      term->logarithm &= !(cells[row] <= 0);
    }
  }
  size_t group_count = group_rows(runs, groups);
  configure_rows(runs, configurations);
  bool *among = arena_array(runs->arena, group_count + 1, sizeof *among),
       *all = arena_array(runs->arena, group_count + 1, sizeof *all);
  memset(all, true, group_count);
  for (size_t group = 0; group < group_count; group++) {
    bool everywhere = true;
    for (size_t t = 0; t < runs->count; t++) {
      struct run_term *term = &runs->terms[t];
      const double *cells = runs->table->columns[term->column].numbers;
      double sum = 0, same = NAN;
      size_t count = 0;
      for (size_t row = 0; row < n; row++) {
        if (!term->selected[row] || groups[row] != group) continue;
        bool common = true;
        for (size_t other = 0; other < runs->count && common; other++)
          common = has_seed(runs, &runs->terms[other], groups, group, seed_of(runs, row));
        if (!common) continue;
        sum += cell_of(runs, term, row);
        same = count == 0 || cells[row] == same ? cells[row] : NAN;
        count++;
      }
      term->means[runs->groups] = sum / (double)count;
      term->same[runs->groups] = same;
      term->counts[runs->groups] = count;
      everywhere &= count > 0;
    }
    among[group] = everywhere;
    if (!everywhere) continue;
    for (size_t t = 0; t < runs->count; t++) runs->terms[t].run_count += runs->terms[t].counts[runs->groups];
    runs->groups++;
  }
  if (!runs->groups) {
    for (size_t t = 0; t < runs->count; t++) text_format(trouble, "%s%s", t ? " and " : "", runs->terms[t].label);
    text_add(trouble, runs->count > 1 ? " have no configuration and seed in common" : " has no finished run");
    return false;
  }
  for (size_t t = 0; t < runs->count; t++) {
    struct run_term *term = &runs->terms[t];
    // Other groups may be noisier by far (two bits next to four), so that they are asked only where these tell too
    // little.
    if (runs->count > 1) find_noise(runs, term, groups, group_count, configurations, among, true);
    if (term->degrees >= ENOUGH_DEGREES) continue;
    term->degrees = 0;
    if (runs->count > 1) find_noise(runs, term, groups, group_count, configurations, all, true);
    if (!term->degrees) find_noise(runs, term, groups, group_count, configurations, all, false);
  }
  return true;
}

// ---- draws ----

// A draw of the noise's standard deviation: noise sqrt(degrees / chi-square).
static double drawn_noise(const struct run_term *term, size_t number, long draw) {
  double sum = 0, pair[2];
  enum { LARGE = 200 };
  size_t degrees = term->degrees;
  if (degrees > LARGE) return term->noise;
  for (size_t i = 0; i < degrees; i += 2) {
    random_normal_pair(draw_seed, RANDOM_STREAM_BOOTSTRAP, (uint64_t)draw, (number << 32 | 1ULL << 31) + i, pair);
    sum += pair[0] * pair[0] + (i + 1 < degrees ? pair[1] * pair[1] : 0);
  }
  return term->noise * sqrt((double)degrees / sum);
}

double claim_runs_value(const struct claim_runs *runs, size_t number, long draw) {
  const struct run_term *term = &runs->terms[number];
  // Terms of one column have one noise, so one draw of it.
  size_t first = 0;
  while (runs->terms[first].column != term->column) first++;
  double noise = draw < 0 ? 0 : isnan(term->noise) ? NAN : drawn_noise(term, first, draw), sum = 0;
  for (size_t group = 0; group < runs->groups; group++) {
    double pair[2] = {0};
    if (draw >= 0)
      random_normal_pair(draw_seed, RANDOM_STREAM_BOOTSTRAP, (uint64_t)draw, (uint64_t)number << 32 | group, pair);
    double drawn = noise * pair[0] / sqrt((double)term->counts[group]), value = term->means[group] + drawn;
    if (drawn == 0 && !isnan(term->same[group]))
      sum += term->same[group];
    else
      sum += term->logarithm ? exp(value) : value;
  }
  return sum / (double)runs->groups;
}
