// `claims` of a spec: expressions over the coefficients of its fits and over its runs. A name without an index is of a
// fit
// ("alpha", "chinchilla.alpha"); of runs, a column has an index: a format, or a condition in quotes (loss[w4a4],
// loss["model.width == 64"]). What speaks of runs is checked here; coefficients are known when the laws are fitted. A
// mapping with match_on compares two groups of runs as `comparisons` do.
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"
#include "trainer/tasks/task.h"

static bool run_column(const struct spec *spec, const char *name) {
  struct run_name found;
  return run_name_find(spec, name, &found) || run_result_known(spec, name);
}

// The fit of "chinchilla.alpha"; NULL where there is none of that name.
static const struct spec_fit *of_a_fit(const struct spec *spec, const char *name) {
  for (size_t i = 0; i < spec->fit_count; i++) {
    const char *fit = spec->fits[i].name;
    if (fit && starts_with(name, fit) && name[strlen(fit)] == '.') return &spec->fits[i];
  }
  return NULL;
}

// Where the index of a name begins in the claim's text, behind its bracket and quote.
static int index_offset(const struct node *node, const struct expression_name *name) {
  const char *at = strchr(node->text + name->offset, '[');
  at = at ? at + 1 + strspn(at + 1, " \t\r\n") : node->text + name->offset;
  return (int)(at - node->text) + name->index_quoted;
}

// The formats of the spec by the names that the store will have; the built-in trainer knows the others as well, but no
// run has them.
static bool run_has_format(struct spec_reader *reader, const char *canonical) {
  const struct spec *spec = reader->spec;
  struct arena arena = {0};
  bool found = strcmp(format_canonical(spec->base.format, &arena), canonical) == 0;
  for (size_t s = 0; s < spec->sweep_count && !found; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    for (size_t i = 0; i < sweep->set_count; i++) found |= (sweep->set[i].field->groups & GROUP_FORMAT) != 0;
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++) {
        const struct spec_axis *axis = &sweep->groups[g].axes[a];
        if (!(axis->field->groups & GROUP_FORMAT)) continue;
        for (size_t v = 0; v < axis->count && !found; v++)
          found = strcmp(format_canonical(axis->values[v].value.text, &arena), canonical) == 0;
      }
  }
  arena_free(&arena);
  return found;
}

// True when the index is a format: one that the trainer knows, or any bare word where it is not ours.
static bool check_format(struct spec_reader *reader, const struct node *node, const struct expression_name *name) {
  struct arena arena = {0};
  struct error error = {0};
  bool known = !spec_trains_model(reader->spec) ? *name->index : format_parse(name->index, &arena, &error) != NULL;
  if (!known && !name->index_quoted) {
    spec_error_at(reader->spec, node, index_offset(node, name), reader->diagnostics,
                  error.hint[0] ? error.hint : "a condition is written in quotes: loss[\"model.width == 64\"]", "%.*s",
                  error_length(&error), error.text);
  } else if (known && !(name->index_quoted && !spec_trains_model(reader->spec))) {
    const char *canonical = format_canonical(name->index, &arena);
    char shown[72];
    if (!run_has_format(reader, canonical))
      node_warning(node, reader->diagnostics, NULL, "a claim speaks of %s, but no run of this spec has that format",
                   text_clipped(name->index, shown));
  }
  arena_free(&arena);
  return known;
}

static void check_condition(struct spec_reader *reader, const struct node *node, const struct expression_name *name) {
  int start = index_offset(node, name);
  struct error error = {0};
  struct expression *condition = expression_parse(&reader->spec->arena, name->index, &error);
  if (condition) {
    spec_check_names(reader, node, start, condition, NAMES_OF_STORE);
    return;
  }
  spec_error_at(reader->spec, node, start + error.offset, reader->diagnostics,
                "in [ ] is a format, or a condition over the runs' columns", "%s", error.text + error.place);
}

static void check_name(struct spec_reader *reader, const struct node *node, const struct expression_name *name) {
  const struct spec_fit *fit = of_a_fit(reader->spec, name->name);
  if (fit) return;
  if (!run_column(reader->spec, name->name)) {
    if (reader->spec->fit_count) return;  // a coefficient, perhaps
    const char *near = strlen(name->name) <= 100 ? run_name_nearest(reader->spec, name->name, true) : NULL;
    char hint[200] = "";
    if (near) snprintf(hint, sizeof hint, "did you mean %s?", near);
    spec_error_at(reader->spec, node, name->offset, reader->diagnostics, near ? hint : NULL,
                  "'%.60s' is no column of runs, and this spec has no fit that could have a coefficient of that name",
                  name->name);
    return;
  }
  if (!name->index) {
    char hint[160];
    snprintf(hint, sizeof hint, "write %.50s[FORMAT] or %.50s[\"condition\"]", name->name, name->name);
    spec_error_at(reader->spec, node, name->offset, reader->diagnostics, hint,
                  "'%.60s' is a column of runs: a claim says of which runs", name->name);
    return;
  }
  // A quoted text may be either; it is a condition when it is no format.
  bool own_trainer = !spec_trains_model(reader->spec);
  struct error ignored = {0};
  struct arena arena = {0};
  bool condition = name->index_quoted && own_trainer && expression_parse(&arena, name->index, &ignored);
  arena_free(&arena);
  if (condition || !check_format(reader, node, name))
    if (name->index_quoted) check_condition(reader, node, name);
}

// ---- at equal loss or compute ----

static const char matched_hint[] =
    "{claim: \"loss[\\\"format == 'w4'\\\"] < loss[\\\"format == 'none'\\\"]\", match_on: tokens}";

static bool is_comparison(enum expression_kind kind) {
  return kind == EXPRESSION_LESS || kind == EXPRESSION_LESS_EQUAL || kind == EXPRESSION_GREATER ||
         kind == EXPRESSION_GREATER_EQUAL;
}

// The condition that a side's index stands for: a format, or itself; and what holds for both.
static const char *side(struct spec_reader *reader, const struct expression_node *term, const char *where) {
  struct arena *arena = &reader->spec->arena;
  struct error ignored = {0};
  bool ours = spec_trains_model(reader->spec);
  bool format = ours ? format_parse(term->index, arena, &ignored) != NULL
                     : !term->index_quoted || !expression_parse(arena, term->index, &ignored);
  const char *condition =
      format ? arena_format(arena, "format == '%s'", format_canonical(term->index, arena)) : term->index;
  return where ? arena_format(arena, "(%s) and (%s)", condition, where) : condition;
}

static bool result_of_task(const struct spec_reader *reader, const char *name) {
  return reader->spec->task && task_of_result(name, NULL) == reader->spec->task;
}

// How a claim on that column is written.
static const char *matched_form(struct spec_reader *reader, enum paired_match match, const char *column) {
  return arena_format(&reader->spec->arena, "{claim: \"%s[A] < %s[B]\", match_on: %s}", column, column,
                      paired_match_names[match]);
}

// What the claim compares is what its sides name: at a matched result of a task another one; at matched loss the
// compute that it takes, else the loss.
static bool read_measure(struct spec_reader *reader, const struct node *text, const char *column,
                         struct spec_comparison *matched) {
  bool loss = strcmp(column, "loss") == 0;
  if (matched->match == MATCH_COLUMN) {
    matched->measure_column = column;
    return result_of_task(reader, column) ||
           (node_error(text, reader->diagnostics, NULL,
                       "at matched %s another result of task %s is compared, not %.60s", matched->match_column,
                       reader->spec->task->name, column),
            false);
  }
  if (matched->match != MATCH_LOSS) {
    return loss ||
           (node_error(text, reader->diagnostics, matched_form(reader, matched->match, "loss"),
                       "at matched %s losses are compared, not %.60s", paired_match_names[matched->match], column),
            false);
  }
  for (int m = MATCH_FLOPS; m < MATCHES; m++)
    if (strcmp(column, paired_match_names[m]) == 0) {
      matched->measure = (enum paired_match)m;
      return true;
    }
  node_error(text, reader->diagnostics, matched_form(reader, MATCH_LOSS, paired_match_names[MATCH_FLOPS]),
             "at matched loss flops, tokens or train_seconds are compared, not %.60s", column);
  return false;
}

// match_on may be a result of the spec's task, which is matched along ladders; else it is one of the words.
static void read_match(struct spec_reader *reader, const struct node *item, struct spec_comparison *matched) {
  const struct node *on = node_find(item, "match_on"), *along = node_find(item, "match_along");
  if (!on || on->kind != NODE_SCALAR || !result_of_task(reader, on->text)) {
    spec_read_match(reader, item, matched);
    return;
  }
  if (along && (along->kind != NODE_SCALAR || strcmp(along->text, paired_along_names[ALONG_LADDERS]) != 0))
    node_error(along, reader->diagnostics, "match_along: ladders", "%s is matched along ladders: it has no curves",
               on->text);
  matched->match = MATCH_COLUMN;
  matched->along = ALONG_LADDERS;
  matched->match_column = on->text;
}

static const struct expression *read_matched(struct spec_reader *reader, const struct node *item,
                                             struct spec_claim *claim) {
  struct spec *spec = reader->spec;
  const struct node *text = node_find(item, "claim"), *where = node_find(item, "where");
  spec_check_keys(&spec_claim_keys, item, reader->diagnostics);
  if (!text || !node_find(item, "match_on")) {
    node_error(item, reader->diagnostics, matched_hint, "a claim that is a mapping needs %s",
               text ? "match_on" : "claim");
    return NULL;
  }
  const struct expression *expression = spec_read_expression(reader, text, NAMES_ANY, "a claim");
  if (where && !spec_read_expression(reader, where, NAMES_OF_STORE, "where")) return NULL;
  struct spec_comparison *matched = arena_alloc(&spec->arena, sizeof *matched);
  *matched = (struct spec_comparison){.node = item};
  spec_read_ignored(reader, node_find(item, "ignore"), matched);
  read_match(reader, item, matched);
  if (!expression || matched->match == MATCH_ENDS) return NULL;
  const struct expression_node *root = expression->root, *a = NULL, *b = NULL;
  if (is_comparison(root->kind)) a = root->arguments[0], b = root->arguments[1];
  if (!a || a->kind != EXPRESSION_INDEXED || b->kind != EXPRESSION_INDEXED || strcmp(a->text, b->text) != 0) {
    node_error(text, reader->diagnostics, matched_hint,
               "a claim with match_on compares one column of two groups of runs: COLUMN[A] < COLUMN[B], or >");
    return NULL;
  }
  if (!read_measure(reader, text, column_canonical(a->text), matched)) return NULL;
  matched->wheres[0] = side(reader, a, where ? where->text : NULL);
  matched->wheres[1] = side(reader, b, where ? where->text : NULL);
  bool column = matched->match == MATCH_COLUMN;
  matched->name = arena_format(&spec->arena, "%s at matched %s%s%s%s", text->text,
                               column ? matched->match_column : paired_match_names[matched->match],
                               !column && matched->along == ALONG_LADDERS ? " along ladders" : "",
                               where ? ", where " : "", where ? where->text : "");
  *claim = (struct spec_claim){.node = text, .text = matched->name, .expression = expression, .matched = matched};
  return expression;
}

void spec_read_claims(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  spec->claims = arena_array(&spec->arena, count, sizeof *spec->claims);
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    struct spec_claim *claim = &spec->claims[spec->claim_count];
    *claim = (struct spec_claim){.node = item, .text = item->text};
    claim->expression = item->kind == NODE_MAPPING ? read_matched(reader, item, claim)
                                                   : spec_read_expression(reader, item, NAMES_ANY, "a claim");
    if (!claim->expression) continue;
    for (int k = 0; k < claim->expression->name_count; k++)
      check_name(reader, claim->node, &claim->expression->names[k]);
    spec->claim_count++;
  }
}
