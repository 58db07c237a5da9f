// What comes after the runs: `fit` and `report`; and `trainer`, somebody's own.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/spec/internal.h"

// A scalar's text, or NULL after a diagnostic.
static const char *need_text(struct spec_reader *reader, const struct node *node, const char *what) {
  if (node->kind == NODE_SCALAR && !node_is_null(node)) return node->text;
  node_error(node, reader->diagnostics, NULL, "%s must be text, not %s", what, node_kind_name(node));
  return NULL;
}

static void choice_error(struct spec_reader *reader, const struct node *node, const char *const *choices, size_t count,
                         const char *what) {
  struct text hint = {0};
  const char *near = strlen(node->text) <= 100 ? nearest_name(node->text, choices, count) : NULL;
  if (near) {
    text_format(&hint, "did you mean '%s'?", near);
  } else if (count) {
    text_add(&hint, "there are ");
    for (size_t i = 0; i < count; i++) text_format(&hint, "%s%s", i ? ", " : "", choices[i]);
  }
  node_error(node, reader->diagnostics, hint.length ? text_string(&hint) : NULL, "unknown %s '%.60s'", what,
             node->text);
  text_free(&hint);
}

static const char *read_choice(struct spec_reader *reader, const struct node *node, const char *const *choices,
                               size_t count, const char *what) {
  if (!need_text(reader, node, what)) return NULL;
  for (size_t i = 0; i < count; i++)
    if (strcmp(choices[i], node->text) == 0) return choices[i];
  choice_error(reader, node, choices, count, what);
  return NULL;
}

// ---- fit ----

static const char *const fit_keys[] = {"name",      "law",          "where",           "objective", "residual",
                                       "bootstrap", "interval",     "profile",         "leave_out", "holdout",
                                       "best_over", "average_over", "parameter_count", "compare"};
static const char *const intervals[] = {"percentile", "bca"};
static const char *const residuals[] = {"log", "plain"};
static const char *const counts[] = {"non-embedding", "total", "prunable", "active", "average-active"};
static const char *const objectives[] = {"huber", "least-squares", "lad"};

static void read_objective(struct spec_reader *reader, const struct node *node, struct spec_fit *fit) {
  const char *text = need_text(reader, node, "objective");
  if (!text) return;
  double delta;
  if (starts_with(text, "huber:")) {
    if (!number_parse(text + 6, &delta) || !(delta > 0) || delta > 1e300) {
      node_error(node, reader->diagnostics, "huber:1e-3", "huber needs a delta above zero, not '%.40s'", text + 6);
      return;
    }
  } else if (strcmp(text, "huber") == 0) {
    node_error(node, reader->diagnostics, "huber:1e-3", "huber needs its delta");
    return;
  } else if (strcmp(text, "least-squares") != 0 && strcmp(text, "lad") != 0) {
    choice_error(reader, node, objectives, 3, "objective");
    return;
  }
  fit->objective = text;
}

static bool swept(const struct spec *spec, const struct run_field *field) {
  for (size_t s = 0; s < spec->sweep_count; s++) {
    for (size_t g = 0; g < spec->sweeps[s].group_count; g++)
      for (size_t a = 0; a < spec->sweeps[s].groups[g].axis_count; a++)
        if (spec->sweeps[s].groups[g].axes[a].field == field) return true;
    for (size_t i = 0; i < spec->sweeps[s].set_count; i++)
      if (spec->sweeps[s].set[i].field == field) return true;
  }
  return false;
}

// A path or a list of paths of run fields.
static const char **read_paths(struct spec_reader *reader, const struct node *node, const char *what, size_t *count) {
  const char **paths = NULL;
  *count = 0;
  if (node->kind == NODE_MAPPING || node_is_null(node)) {
    node_error(node, reader->diagnostics, NULL, "%s must be a field or a list of fields, not %s", what,
               node_kind_name(node));
    return NULL;
  }
  size_t items = node->kind == NODE_SEQUENCE ? node->count : 1;
  paths = arena_array(&reader->spec->arena, items ? items : 1, sizeof *paths);
  for (size_t i = 0; i < items; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    const char *path = need_text(reader, item, what);
    if (!path) continue;
    const struct run_field *field = strlen(path) <= 100 ? field_find(path, NULL) : NULL;
    if (!field) {
      node_error(item, reader->diagnostics, spec_field_hint(reader, path), "%s: no field is called '%.60s'", what,
                 path);
      continue;
    }
    bool twice = false;
    for (size_t j = 0; j < *count; j++) twice |= strcmp(paths[j], field->path) == 0;
    if (twice) {
      node_error(item, reader->diagnostics, NULL, "%s names %s twice", what, field->path);
      continue;
    }
    if (!swept(reader->spec, field))
      node_warning(item, reader->diagnostics, NULL, "%s: no sweep varies %s", what, field->path);
    paths[(*count)++] = field->path;
  }
  return paths;
}

// A text or a list of texts; `columns`: each a column of the store.
static const char **read_names(struct spec_reader *reader, const struct node *node, bool columns, const char *what,
                               size_t *count) {
  *count = 0;
  if (node->kind == NODE_MAPPING || node_is_null(node)) {
    node_error(node, reader->diagnostics, NULL, "%s must be a name or a list of names, not %s", what,
               node_kind_name(node));
    return NULL;
  }
  size_t items = node->kind == NODE_SEQUENCE ? node->count : 1;
  const char **names = arena_array(&reader->spec->arena, items ? items : 1, sizeof *names);
  for (size_t i = 0; i < items; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    const char *name = need_text(reader, item, what);
    if (!name) continue;
    if (columns) {
      const struct expression *read = spec_read_expression(reader, item, NAMES_OF_STORE, what);
      if (!read) continue;
      if (read->name_count != 1 || strcmp(read->names[0].name, name) != 0) {
        node_error(item, reader->diagnostics, "leave_out: [parameters, format]", "%s names columns, not '%.60s'", what,
                   name);
        continue;
      }
    }
    names[(*count)++] = name;
  }
  return names;
}

// The name of a law that ships, or the path of a file as seen from here; NULL after a diagnostic.
static const char *read_law_name(struct spec_reader *reader, const struct node *node) {
  const char *law = need_text(reader, node, "law");
  if (!law) return NULL;
  if (strchr(law, '/') || ends_with(law, ".yaml") || ends_with(law, ".yml")) {
    law = spec_file_path(reader, law);
    if (!file_exists(law))
      node_error(node, reader->diagnostics, "a law's file is looked for from the spec's folder", "there is no file %s",
                 law);
  } else if (reader->options->laws) {
    read_choice(reader, node, reader->options->laws, reader->options->law_count, "law");
  }
  return law;
}

static void read_law(struct spec_reader *reader, const struct node *node, struct spec_fit *fit) {
  fit->law_node = node;
  fit->law = read_law_name(reader, node);
}

// A law or a list of laws.
static void read_compare(struct spec_reader *reader, const struct node *node, struct spec_fit *fit) {
  if (node->kind == NODE_MAPPING || node_is_null(node)) {
    node_error(node, reader->diagnostics, "compare: [kaplan]", "compare must be a law or a list of laws, not %s",
               node_kind_name(node));
    return;
  }
  size_t items = node->kind == NODE_SEQUENCE ? node->count : 1;
  fit->compare = arena_array(&reader->spec->arena, items + 1, sizeof *fit->compare);
  for (size_t i = 0; i < items; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    const char *law = read_law_name(reader, item);
    if (!law) continue;
    bool twice = fit->law && strcmp(law, fit->law) == 0;
    for (size_t j = 0; j < fit->compare_count; j++) twice |= strcmp(fit->compare[j], law) == 0;
    if (twice)
      node_error(item, reader->diagnostics, NULL, "the law %.60s takes part in the comparison already", item->text);
    else
      fit->compare[fit->compare_count++] = law;
  }
}

static void read_expression(struct spec_reader *reader, const struct node *value, const char *what, const char **text,
                            const struct node **node, const struct expression **expression) {
  *expression = spec_read_expression(reader, value, NAMES_OF_STORE, what);
  if (!*expression) return;
  *text = value->text;
  *node = value;
}

static void read_fit(struct spec_reader *reader, const struct node *node, struct spec_fit *fit) {
  struct diagnostics *diagnostics = reader->diagnostics;
  *fit = (struct spec_fit){.node = node, .bootstrap = -1, .parameter_count = "non-embedding"};
  if (node->kind == NODE_SCALAR && !node_is_null(node)) {
    read_law(reader, node, fit);
    fit->name = fit->law;
    return;
  }
  if (node->kind != NODE_MAPPING) {
    node_error(node, diagnostics, "fit: [{law: chinchilla}]", "a fit must be a mapping with a law, not %s",
               node_kind_name(node));
    return;
  }
  node_check_keys(node, fit_keys, sizeof fit_keys / sizeof fit_keys[0], "fit", diagnostics);
  const struct node *value;
  if ((value = node_find(node, "law")))
    read_law(reader, value, fit);
  else
    node_error(node, diagnostics, "law: chinchilla", "this fit names no law");
  if ((value = node_find(node, "name"))) fit->name = need_text(reader, value, "name");
  if (!fit->name) fit->name = fit->law;
  if ((value = node_find(node, "where")))
    read_expression(reader, value, "where", &fit->where_text, &fit->where_node, &fit->where);
  if ((value = node_find(node, "holdout")))
    read_expression(reader, value, "holdout", &fit->holdout_text, &fit->holdout_node, &fit->holdout);
  if ((value = node_find(node, "objective"))) read_objective(reader, value, fit);
  if ((value = node_find(node, "residual"))) fit->residual = read_choice(reader, value, residuals, 2, "residual");
  if ((value = node_find(node, "bootstrap"))) {
    if (!node_integer(value, &fit->bootstrap) || fit->bootstrap < 0 || fit->bootstrap > 10000000) {
      node_error(value, diagnostics, "0 turns it off", "bootstrap must be a number of resamples, at most 10 million");
      fit->bootstrap = -1;
    }
  }
  if ((value = node_find(node, "interval"))) fit->interval = read_choice(reader, value, intervals, 2, "interval");
  if ((value = node_find(node, "profile")))
    fit->profile = read_names(reader, value, false, "profile", &fit->profile_count);
  if ((value = node_find(node, "leave_out")))
    fit->leave_out = read_names(reader, value, true, "leave_out", &fit->leave_out_count);
  if ((value = node_find(node, "best_over")))
    fit->best_over = read_paths(reader, value, "best_over", &fit->best_over_count);
  if ((value = node_find(node, "average_over")))
    fit->average_over = read_paths(reader, value, "average_over", &fit->average_over_count);
  for (size_t i = 0; i < fit->best_over_count; i++)
    for (size_t j = 0; j < fit->average_over_count; j++)
      if (strcmp(fit->best_over[i], fit->average_over[j]) == 0)
        node_error(node_find(node, "average_over"), diagnostics, NULL, "%s stands in best_over and in average_over",
                   fit->best_over[i]);
  if ((value = node_find(node, "compare"))) read_compare(reader, value, fit);
  if ((value = node_find(node, "parameter_count"))) {
    const char *count = read_choice(reader, value, counts, sizeof counts / sizeof counts[0], "parameter_count");
    if (count) fit->parameter_count = count;
  }
}

// ---- isoflop ----

static const char *const isoflop_keys[] = {"name",  "method", "minimum", "budget", "where",
                                           "noise", "window", "average", "copies", "parameter_count"};
static const char *const methods[] = {"isoflop"};
static const char *const minima[] = {"akima", "parabola", "envelope"};

// A number of nats, or two with the losses they are of: 0.002@3,0.05@7.
static const char *read_noise(struct spec_reader *reader, const struct node *node) {
  const char *text = need_text(reader, node, "noise");
  if (!text) return NULL;
  size_t count;
  const char **parts = text_split(&reader->spec->arena, text, "@,", &count);
  bool fine = (count == 1 && !strpbrk(text, "@,")) || count == 4;
  for (size_t i = 0; i < count && fine; i++) {
    double value;
    fine = number_parse(parts[i], &value) && value > 0 && value < 1e300;
  }
  if (fine) return text;
  node_error(node, reader->diagnostics, "noise: 0.002, or 0.002@3,0.05@7 where it rises with the loss",
             "noise is the standard deviation of a run's loss in nats, not '%.40s'", text);
  return NULL;
}

static void read_isoflop(struct spec_reader *reader, const struct node *node, struct spec_isoflop *entry) {
  struct diagnostics *diagnostics = reader->diagnostics;
  *entry = (struct spec_isoflop){
      .node = node, .name = "isoflop", .minimum = "akima", .copies = -1, .parameter_count = "non-embedding"};
  node_check_keys(node, isoflop_keys, sizeof isoflop_keys / sizeof isoflop_keys[0], "fit of method isoflop",
                  diagnostics);
  const struct node *value;
  const char *text;
  read_choice(reader, node_find(node, "method"), methods, 1, "method");
  if ((value = node_find(node, "name")) && (text = need_text(reader, value, "name"))) entry->name = text;
  if ((value = node_find(node, "minimum")) && (text = read_choice(reader, value, minima, 3, "minimum")))
    entry->minimum = text;
  if ((value = node_find(node, "budget"))) {
    size_t count;
    const char **names = read_names(reader, value, true, "budget", &count);
    if (count > 1) node_error(value, diagnostics, NULL, "budget is one column");
    if (count) entry->budget = names[0];
  }
  if ((value = node_find(node, "where")) && spec_read_expression(reader, value, NAMES_OF_STORE, "where"))
    entry->where_text = value->text;
  if ((value = node_find(node, "noise"))) entry->noise = read_noise(reader, value);
  if ((value = node_find(node, "window")) &&
      (!node_number(value, &entry->window) || !(entry->window > 1 && entry->window < 1e300)))
    node_error(value, diagnostics, "window: 6", "window is a factor above 1: sizes within it of the best one count");
  if ((value = node_find(node, "average")) && !node_boolean(value, &entry->average))
    node_error(value, diagnostics, NULL, "average must be true or false");
  if ((value = node_find(node, "copies")) &&
      (!node_integer(value, &entry->copies) || entry->copies < 0 || entry->copies > 100000)) {
    node_error(value, diagnostics, "0 turns intervals off", "copies must be a number of copies, at most 100000");
    entry->copies = -1;
  }
  if ((value = node_find(node, "parameter_count")) &&
      (text = read_choice(reader, value, counts, sizeof counts / sizeof counts[0], "parameter_count")))
    entry->parameter_count = text;
}

// Two entries of one name: an error at the second.
static void check_name(struct spec_reader *reader, const struct node *node, const char *name) {
  const struct spec *spec = reader->spec;
  const struct node *other = NULL;
  for (size_t i = 0; i < spec->fit_count && i < 1000 && name && !other; i++)
    if (spec->fits[i].node != node && spec->fits[i].name && strcmp(spec->fits[i].name, name) == 0)
      other = spec->fits[i].node;
  for (size_t i = 0; i < spec->isoflop_count && i < 1000 && name && !other; i++)
    if (spec->isoflops[i].node != node && strcmp(spec->isoflops[i].name, name) == 0) other = spec->isoflops[i].node;
  if (!other) return;
  char hint[80];
  snprintf(hint, sizeof hint, "give it a name; the other stands on line %d", other->line);
  node_error(node, reader->diagnostics, hint, "two fits are called '%.60s'", name);
}

void spec_read_fits(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  spec->fits = arena_array(&spec->arena, count, sizeof *spec->fits);
  spec->isoflops = arena_array(&spec->arena, count, sizeof *spec->isoflops);
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    if (item->kind == NODE_MAPPING && node_find(item, "method")) {
      read_isoflop(reader, item, &spec->isoflops[spec->isoflop_count++]);
      check_name(reader, item, spec->isoflops[spec->isoflop_count - 1].name);
    } else {
      read_fit(reader, item, &spec->fits[spec->fit_count++]);
      check_name(reader, item, spec->fits[spec->fit_count - 1].name);
    }
  }
}

// ---- report ----

void spec_read_report(struct spec_reader *reader, const struct node *node) {
  static const char *const keys[] = {"title", "plots"};
  struct spec *spec = reader->spec;
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "report: {plots: [loss-curves]}", "report must be a mapping, not %s",
               node_kind_name(node));
    return;
  }
  node_check_keys(node, keys, 2, "report", reader->diagnostics);
  const struct node *value;
  if ((value = node_find(node, "title"))) {
    const char *title = need_text(reader, value, "title");
    if (title) spec->title = title;
  }
  if (!(value = node_find(node, "plots"))) return;
  if (value->kind != NODE_SEQUENCE) {
    node_error(value, reader->diagnostics, "plots: [loss-curves]", "plots must be a list, not %s",
               node_kind_name(value));
    return;
  }
  spec->plots = arena_array(&spec->arena, value->count + 1, sizeof *spec->plots);
  spec->plot_nodes = arena_array(&spec->arena, value->count + 1, sizeof *spec->plot_nodes);
  for (size_t i = 0; i < value->count; i++) {
    const struct node *item = value->items[i];
    const char *plot = reader->options->plots
                           ? read_choice(reader, item, reader->options->plots, reader->options->plot_count, "plot")
                           : need_text(reader, item, "a plot");
    if (!plot) continue;
    spec->plots[spec->plot_count] = plot;
    spec->plot_nodes[spec->plot_count++] = item;
  }
}

// ---- trainer ----

// {name} in a command template: what it may be. Other braces (JSON, say) stand for themselves.
static void check_placeholders(struct spec_reader *reader, const struct node *node) {
  static const char *const own[] = {"config", "folder", "id"};
  const char *text = node->text;
  for (const char *open = strchr(text, '{'); open; open = strchr(open + 1, '{')) {
    size_t length = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_.0123456789");
    if (!length || length > 100 || open[1 + length] != '}') continue;
    char name[112];
    snprintf(name, sizeof name, "%.*s", (int)length, open + 1);
    bool known = field_find(name, NULL) != NULL;
    for (size_t i = 0; i < 3; i++) known |= strcmp(own[i], name) == 0;
    if (known) continue;
    const char *names[256] = {"config", "folder", "id"};
    size_t count = 3;
    for (size_t i = 0; i < run_field_count && count < 256; i++) names[count++] = run_fields[i].path;
    const char *near = nearest_name(name, names, count);
    char hint[160];
    if (near)
      snprintf(hint, sizeof hint, "did you mean {%s}?", near);
    else
      snprintf(hint, sizeof hint, "{config}, {folder}, {id} and every run field, such as {train.lr}");
    spec_error_at(reader->spec, node, (int)(open - text), reader->diagnostics, hint, "nothing is called {%s}", name);
  }
}

void spec_read_trainer(struct spec_reader *reader, const struct node *node) {
  static const char *const keys[] = {"command", "version"};
  struct spec_trainer *trainer = &reader->spec->trainer;
  trainer->version = "";
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "trainer: {command: [python3, train.py, \"{config}\"]}",
               "trainer must be a mapping, not %s", node_kind_name(node));
    return;
  }
  trainer->node = node;
  node_check_keys(node, keys, 2, "trainer", reader->diagnostics);
  const struct node *value = node_find(node, "command");
  if (!value || value->kind != NODE_SEQUENCE || !value->count) {
    node_error(value ? value : node, reader->diagnostics, "command: [python3, train.py, \"{config}\"]",
               "a trainer needs its command: a list of the program and its arguments");
  } else {
    trainer->command = arena_array(&reader->spec->arena, value->count + 1, sizeof *trainer->command);
    for (size_t i = 0; i < value->count; i++) {
      const char *part = need_text(reader, value->items[i], "a part of the command");
      if (!part) continue;
      check_placeholders(reader, value->items[i]);
      trainer->command[trainer->command_count++] = part;
    }
  }
  if ((value = node_find(node, "version"))) {
    const char *version = need_text(reader, value, "version");
    if (version) trainer->version = version;
  }
}
