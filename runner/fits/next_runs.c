// See next_runs.h.
#include "runner/fits/next_runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/table_parts.h"

bool next_request_check(const struct next_request *request, const char *target, struct error *error) {
  if (!request->asked && (request->until || request->candidates.count || request->at.count || request->limit >= 0))
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --until, --candidates, --at and --limit are of --next: the runs to make next");
  if (request->at.count && target)
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --target names a quantity and --at a prediction: give one of them");
  if (request->limit < -1)
    return error_set(error, EXIT_USAGE_ERROR, "design: --limit needs a number of runs, 0 for all");
  return true;
}

// "10%" or "0.05".
static bool read_until(struct next_runs *next, const char *text, bool has_target, struct error *error) {
  char number[64];
  next->until = NAN;
  if (!text) return true;
  size_t length = strlen(text);
  next->share = length && text[length - 1] == '%';
  if (next->share) length--;
  while (length && text[length - 1] == ' ') length--;
  snprintf(number, sizeof number, "%.*s", (int)length, text);
  if (length >= sizeof number || !number_parse(number, &next->until) || !(next->until > 0) || !isfinite(next->until))
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --until %s is no width of an interval: 10%% of the value, or 0.05 in its own unit", text);
  if (next->share) next->until /= 100;
  if (!next->share && !has_target)
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --until %s is a width in the unit of one quantity: name it (--target alpha, or --at "
                     "N=1e9,D=2e10); a share is of any: --until 10%%",
                     text);
  return true;
}

// ---- which runs a row stands for ----

struct known_run {
  char id[40];
  size_t number;
};

static int compare_known(const void *left, const void *right) {
  return strcmp(((const struct known_run *)left)->id, ((const struct known_run *)right)->id);
}

struct rows {
  const struct design_spec *spec;
  struct arena *arena;
  struct known_run *known;     // [plan.count], by id
  const char **id;             // [plan.count]
  size_t *parent;              // [plan.count]
  double *flops;               // [plan.count]: of trainings
  size_t *begin, *part, room;  // see struct design_costs
  bool *paid;
};

static void know_runs(struct rows *rows) {
  const struct plan *plan = &rows->spec->selection.plan;
  rows->known = arena_array(rows->arena, plan->count + 1, sizeof *rows->known);
  rows->id = arena_array(rows->arena, plan->count + 1, sizeof *rows->id);
  rows->parent = arena_array(rows->arena, plan->count + 1, sizeof *rows->parent);
  rows->flops = arena_array(rows->arena, plan->count + 1, sizeof *rows->flops);
  rows->paid = arena_array(rows->arena, plan->count + 1, sizeof *rows->paid);
  for (size_t i = 0; i < plan->count; i++) {
    struct planned_run run;
    plan_run(plan, i, &run);
    memcpy(rows->known[i].id, run.id, sizeof rows->known[i].id);
    rows->known[i].number = i;
    rows->id[i] = arena_string(rows->arena, run.id);
    rows->parent[i] = run.parent;
    rows->flops[i] = run.stage || !isfinite(run.quantities.flops) ? 0 : run.quantities.flops;
    rows->paid[i] = rows->spec->states[i] == RUN_DONE;
  }
  qsort(rows->known, plan->count, sizeof *rows->known, compare_known);
}

static size_t find_run(const struct rows *rows, const char *id) {
  struct known_run key;
  snprintf(key.id, sizeof key.id, "%s", id);
  const struct known_run *found =
      bsearch(&key, rows->known, rows->spec->selection.plan.count, sizeof key, compare_known);
  return found ? found->number : SIZE_MAX;
}

// The rows before best_over and average_over, with the group of each: equal in all settings but these axes.
static bool read_members(const struct design_spec *spec, const struct spec_fit *entry, const char *part,
                         struct table *table, int **group, struct arena *arena, struct error *error) {
  struct spec_fit whole = *entry;
  struct fit_notes notes;
  memset(&whole.best_over, 0, sizeof whole.best_over);
  memset(&whole.average_over, 0, sizeof whole.average_over);
  if (!fit_entry_table(&spec->selection.spec, &whole, NULL, 0, NULL, spec->selection.store, table, &notes, error))
    return false;
  if (part) table_keep_part(table, entry->by, part);
  int *columns = arena_array(arena, table->column_count + 1, sizeof *columns), count = 0;
  for (size_t c = 0; c < table->column_count; c++) {
    bool axis = table->columns[c].role != ROLE_SETTING;
    for (size_t i = 0; i < entry->best_over.count; i++) axis |= table_find(table, entry->best_over.items[i]) == (int)c;
    for (size_t i = 0; i < entry->average_over.count; i++)
      axis |= table_find(table, entry->average_over.items[i]) == (int)c;
    if (!axis) columns[count++] = (int)c;
  }
  *group = arena_array(arena, table->row_count + 1, sizeof **group);
  table_partition(table, columns, count, NULL, *group);
  return true;
}

static int group_of(const struct table *members, const int *group, const char *id) {
  for (size_t row = 0; row < members->row_count; row++)
    if (strcmp(members->row_names[row], id) == 0) return group[row];
  return -2;
}

// The parts of the costs of each row, its trainings; whether all of its runs are done; the ids of those that are not.
static bool read_rows(struct rows *rows, const struct spec_fit *entry, const char *part, const struct table *table,
                      bool *present, bool *candidate, const char **ids, struct error *error) {
  struct table members = {0};
  int *group = NULL;
  bool fine = read_members(rows->spec, entry, part, &members, &group, rows->arena, error);
  size_t used = 0;
  rows->begin = arena_array(rows->arena, table->row_count + 2, sizeof *rows->begin);
  for (size_t row = 0; row < table->row_count && fine; row++) {
    int own = group_of(&members, group, table->row_names[row]);
    struct text names = {0};
    rows->begin[row] = used;
    present[row] = candidate[row] = true;
    for (size_t m = 0; m < members.row_count; m++) {
      if (group[m] != own) continue;
      size_t number = find_run(rows, members.row_names[m]), root = number;
      if (number == SIZE_MAX) continue;
      enum run_state state = rows->spec->states[number];
      present[row] &= state == RUN_DONE;
      candidate[row] &= state != RUN_DIVERGED;
      if (state != RUN_DONE) text_format(&names, "%s%s", names.length ? " " : "", members.row_names[m]);
      while (rows->parent[root] != SIZE_MAX) {  // a stage needs the runs before it
        root = rows->parent[root];
        if (!rows->paid[root]) text_format(&names, "%s%s", names.length ? " " : "", rows->id[root]);
      }
      rows->part = arena_grow(rows->arena, rows->part, used, used + 1, sizeof *rows->part);
      rows->part[used++] = root;
    }
    ids[row] = arena_string(rows->arena, text_string(&names));
    candidate[row] &= !present[row];
    text_free(&names);
  }
  rows->begin[table->row_count] = used;
  table_free(&members);
  return fine;
}

// ---- points ----

static void set_number(struct table *table, size_t row, const char *name, double value) {
  int column = table_find(table, name);
  if (column >= 0 && table->columns[column].kind == COLUMN_NUMBER) table->columns[column].numbers[row] = value;
}

static double number_at(const struct table *table, const char *name, size_t row) {
  int column = table_find(table, name);
  return column >= 0 && table->columns[column].kind == COLUMN_NUMBER ? table->columns[column].numbers[row] : NAN;
}

// The run that shares most of the texts of a point.
static size_t nearest_row(const struct table *table, size_t rows, const struct table *points, size_t point) {
  size_t best = 0, most = 0;
  for (size_t row = 0; row < rows; row++) {
    size_t same = 1;
    for (size_t c = 0; c < points->column_count; c++) {
      struct value wanted = table_value(points, c, point);
      int column = table_find(table, points->columns[c].name);
      if (wanted.kind != VALUE_TEXT || column < 0) continue;
      struct value have = table_value(table, (size_t)column, row);
      same += have.kind == VALUE_TEXT && strcmp(have.text, wanted.text) == 0;
    }
    if (same <= most) continue;
    most = same;
    best = row;
  }
  return best;
}

static bool copy_row(struct table *table, size_t to, size_t from, const struct law *law, const struct table *points,
                     size_t point, const char *option, struct error *error) {
  for (size_t c = 0; c < table->column_count; c++) {
    struct table_column *column = &table->columns[c];
    if (column->kind == COLUMN_NUMBER)
      column->numbers[to] = column->numbers[from];
    else
      column->codes[to] = column->codes[from];
  }
  double ratio = number_at(points, "tokens_per_parameter", point), flops = number_at(points, "flops", point);
  for (size_t c = 0; c < points->column_count; c++) {
    struct value value = table_value(points, c, point);
    const char *name = points->columns[c].name;
    int column = table_find(table, name);
    bool text = column >= 0 && table->columns[column].kind == COLUMN_CATEGORY;
    if (column < 0 || (value.kind != VALUE_MISSING && text != (value.kind == VALUE_TEXT)))
      return error_set(error, EXIT_USAGE_ERROR, "design: %s: the runs have no column '%s'%s", option, name,
                       column < 0 ? ""
                       : text     ? " of numbers: it holds texts"
                                  : " of texts: it holds numbers");
    if (value.kind == VALUE_TEXT) {
      const char *known = table->columns[column].category_count ? format_canonical(value.text, &table->arena) : NULL;
      bool there = false;
      for (int k = 0; k < table->columns[column].category_count; k++)
        there |= strcmp(table->columns[column].categories[k], value.text) == 0;
      table_set_category(table, (size_t)column, to, there || !known ? value.text : known);
    } else if (value.kind == VALUE_NUMBER) {
      table->columns[column].numbers[to] = value.number;
    }
  }
  double n = number_at(points, "parameters", point), d = number_at(points, "tokens", point);
  if (isnan(n)) n = number_at(points, law_size_column(law), point);
  if (isnan(d)) d = !isnan(ratio) ? ratio * n : flops / (6 * n);
  if (!(n > 0) || !(d > 0))
    return error_set(error, EXIT_USAGE_ERROR, "design: %s: a point needs N and D above 0 (N=1e7,D=2e8)", option);
  set_number(table, to, "parameters", n);
  set_number(table, to, law_size_column(law), n);
  set_number(table, to, "tokens", d);
  set_number(table, to, "flops", 6 * n * d);
  set_number(table, to, "flops_6nd", 6 * n * d);
  set_number(table, to, "tokens_per_parameter", d / n);
  table->row_members[to] = 1;
  return true;
}

// Adds a row for each point, the rest of its columns as the run that is nearest in its texts.
static bool add_points(struct next_runs *next, struct table *table, const struct law *law,
                       const struct option_list *texts, const char *option, struct error *error) {
  struct table points = {0};
  size_t before = table->row_count;
  bool fine = points_parse(&points, texts->items, texts->count, error) || error_context(error, "design: %s", option);
  if (fine) table_resize(table, before + points.row_count);
  for (size_t p = 0; p < points.row_count && fine; p++) {
    size_t like = nearest_row(table, before, &points, p);
    if (!next->as_in) next->as_in = arena_string(&next->arena, table->row_names[like]);
    fine = copy_row(table, before + p, like, law, &points, p, option, error);
    table_name_row(table, before + p, option);
  }
  table_free(&points);
  return fine;
}

static const char *categories_of(const struct law *law, const struct table *table, size_t row, struct arena *arena) {
  struct text text = {0};
  for (int i = 0; i < law->column_count; i++) {
    int column = table_find(table, law->columns[i]);
    struct value value = {.kind = VALUE_MISSING};
    if (column >= 0) value = table_value(table, (size_t)column, row);
    if (value.kind == VALUE_TEXT) text_format(&text, "%s%s", text.length ? " / " : "", value.text);
  }
  const char *made = arena_string(arena, text_string(&text));
  text_free(&text);
  return made;
}

// ---- the answer ----

static const char *target_words(struct next_runs *next, const struct law *law, const struct table *table, size_t at) {
  char n[32], d[32];
  const char *what = categories_of(law, table, at, &next->arena);
  return arena_format(&next->arena, "%s at N %s, D %s%s%s", law->target,
                      number_human(number_at(table, law_size_column(law), at), n),
                      number_human(number_at(table, "tokens", at), d), *what ? ", " : "", what);
}

// The ids of a row that no step before it has listed.
static const char *new_ids(const struct rows *rows, const char *ids, bool *listed) {
  struct text text = {0};
  for (size_t length; *ids; ids += length + (ids[length] == ' ')) {
    char id[40];
    length = strcspn(ids, " ");
    snprintf(id, sizeof id, "%.*s", (int)length, ids);
    size_t number = find_run(rows, id);
    if (number == SIZE_MAX || listed[number]) continue;
    listed[number] = true;
    text_format(&text, "%s%s", text.length ? " " : "", id);
  }
  const char *made = arena_string(rows->arena, text_string(&text));
  text_free(&text);
  return made;
}

static void fill_runs(struct next_runs *next, const struct law *law, const struct table *table, size_t own,
                      const struct rows *rows, const char *const *ids) {
  bool *listed = arena_array(&next->arena, rows->spec->selection.plan.count + 1, sizeof *listed);
  next->runs = arena_array(&next->arena, next->result.count + 1, sizeof *next->runs);
  for (size_t i = 0; i < next->result.count; i++) {
    size_t row = next->result.steps[i].row;
    next->runs[i] = (struct next_run){.name = row < own ? ids[row] : NULL,
                                      .ids = row < own ? new_ids(rows, ids[row], listed) : NULL,
                                      .what = categories_of(law, table, row, &next->arena),
                                      .parameters = number_at(table, law_size_column(law), row),
                                      .tokens = number_at(table, "tokens", row)};
  }
}

// Costs of the points: 6ND each, a part of its own.
static void price_points(struct rows *rows, const struct table *table, const struct law *law, size_t own,
                         size_t first) {
  size_t parts = rows->spec->selection.plan.count, count = table->row_count - first, used = rows->begin[own];
  rows->flops = arena_grow(rows->arena, rows->flops, parts, parts + count + 1, sizeof *rows->flops);
  rows->paid = arena_grow(rows->arena, rows->paid, parts, parts + count + 1, sizeof *rows->paid);
  rows->part = arena_grow(rows->arena, rows->part, used, used + count + 1, sizeof *rows->part);
  size_t *begin = arena_array(rows->arena, table->row_count + 2, sizeof *begin);
  memcpy(begin, rows->begin, (own + 1) * sizeof *begin);
  for (size_t row = own; row < table->row_count; row++) {
    begin[row] = used;
    if (row < first) continue;
    size_t part = parts + row - first;
    rows->flops[part] = 6 * number_at(table, law_size_column(law), row) * number_at(table, "tokens", row);
    rows->paid[part] = false;
    rows->part[used++] = part;
  }
  begin[table->row_count] = used;
  rows->begin = begin;
}

bool next_runs_make(struct next_runs *next, const struct next_request *request, const char *target,
                    const struct design_spec *spec, const struct spec_fit *entry, const char *part,
                    const struct law *law, struct table *table, const struct fit_options *fit,
                    const struct design_options *options, struct error *error) {
  *next = (struct next_runs){.points = request->candidates.count > 0};
  struct rows rows = {.spec = spec, .arena = &next->arena};
  size_t own = table->row_count, at = SIZE_MAX;
  bool *present = arena_array(&next->arena, own + 1, sizeof *present),
       *candidate = arena_array(&next->arena, own + 1, sizeof *candidate);
  const char **ids = arena_array(&next->arena, own + 1, sizeof *ids);
  if (!read_until(next, request->until, target || request->at.count, error)) return false;
  know_runs(&rows);
  if (!read_rows(&rows, entry, part, table, present, candidate, ids, error)) return false;
  for (size_t row = 0; row < own; row++) {
    next->done += present[row];
    next->pending += candidate[row];
    if (next->points) candidate[row] = false;
  }
  if (request->at.count) {
    if (!add_points(next, table, law, &request->at, "--at", error)) return false;
    at = own;
    if (table->row_count != own + 1)
      return error_set(error, EXIT_USAGE_ERROR, "design: --at names %zu points; the criterion is of one",
                       table->row_count - own);
    next->target = target_words(next, law, table, at);
  } else if (target) {
    next->target = arena_string(&next->arena, target);
  }
  size_t first = table->row_count;
  if (next->points && !add_points(next, table, law, &request->candidates, "--candidates", error)) return false;
  price_points(&rows, table, law, own, first);
  present = arena_grow(&next->arena, present, own, table->row_count + 1, sizeof *present);
  candidate = arena_grow(&next->arena, candidate, own, table->row_count + 1, sizeof *candidate);
  for (size_t row = own; row < table->row_count; row++) {
    present[row] = false;
    candidate[row] = row >= first;
  }
  const struct design_next_options wanted = {
      .present = present,
      .candidate = candidate,
      .costs = {rows.begin, rows.part, rows.flops, rows.paid, spec->selection.plan.count + table->row_count - first},
      .target = target,
      .at = at,
      .until = next->until,
      .share = next->share,
      .limit = request->limit >= 0  ? (size_t)request->limit
               : isnan(next->until) ? 20
                                    : 0};
  if (!design_next(law, table, fit, options, &wanted, &next->result, error)) return false;
  fill_runs(next, law, table, own, &rows, ids);
  return true;
}

void next_runs_free(struct next_runs *next) {
  design_next_free(&next->result);
  arena_free(&next->arena);
}
