// `fit`: entries that fit a law and those of `method: isoflop`, read by the tables of their keys (entries.h).
#include <stdio.h>
#include <string.h>

#include "fitting/law.h"
#include "runner/spec/internal.h"

// ---- items: a column, a field, a law ----

static const char *read_column(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  const char *name = spec_read_text(reader, node, key->name);
  const struct expression *read = name ? spec_read_expression(reader, node, NAMES_OF_STORE, key->name) : NULL;
  if (!read) return NULL;
  if (read->name_count == 1 && strcmp(read->names[0].name, name) == 0) return name;
  node_error(node, reader->diagnostics, key->hint, "%s names columns, not '%.60s'", key->name, name);
  return NULL;
}

static const char *read_field(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  const char *path = spec_read_text(reader, node, key->name);
  if (!path) return NULL;
  const struct run_field *field = strlen(path) <= 100 ? spec_field_find(reader->spec, path) : NULL;
  if (field) return field->path;
  node_error(node, reader->diagnostics, spec_field_hint(reader, path), "%s: no field is called '%.60s'", key->name,
             path);
  return NULL;
}

// The name of a law that ships, or the path of a file as seen from here; NULL after a diagnostic.
static const char *read_law(struct spec_reader *reader, const struct node *node) {
  const char *law = spec_read_text(reader, node, "law");
  if (!law) return NULL;
  if (strchr(law, '/') || ends_with(law, ".yaml") || ends_with(law, ".yml")) {
    law = spec_file_path(reader, law);
    if (!file_exists(law))
      node_error(node, reader->diagnostics, "a law's file is looked for from the spec's folder", "there is no file %s",
                 law);
  } else if (reader->options->laws) {
    spec_read_choice(reader, node, reader->options->laws, reader->options->law_count, "law");
  }
  return law;
}

static bool swept(const struct spec *spec, const char *path) {
  for (size_t s = 0; s < spec->sweep_count; s++) {
    for (size_t g = 0; g < spec->sweeps[s].group_count; g++)
      for (size_t a = 0; a < spec->sweeps[s].groups[g].axis_count; a++)
        if (spec->sweeps[s].groups[g].axes[a].field->path == path) return true;
    for (size_t i = 0; i < spec->sweeps[s].set_count; i++)
      if (spec->sweeps[s].set[i].field->path == path) return true;
  }
  return false;
}

// ---- lists ----

// One item of a list: its text, or NULL after a diagnostic.
static const char *read_item(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  if (key->type == ENTRY_LAWS) return read_law(reader, node);
  if (key->type == ENTRY_FIELDS) return read_field(reader, key, node);
  if (key->type == ENTRY_NAMES) return spec_read_text(reader, node, key->name);
  if (key->type == ENTRY_TEXTS) {
    const char *text = spec_read_text(reader, node, key->name);
    return text && ends_with(text, ".json") ? spec_file_path(reader, text) : text;
  }
  return read_column(reader, key, node);
}

// False after a diagnostic: the item is in the list already, or is `own`, the law of the entry itself.
static bool check_twice(struct spec_reader *reader, const struct entry_key *key, const struct node *node,
                        const struct option_list *list, const char *text, const char *own) {
  bool laws = key->type == ENTRY_LAWS, twice = laws && own && strcmp(text, own) == 0;
  for (size_t i = 0; i < list->count; i++) twice |= strcmp(list->items[i], text) == 0;
  if (!twice || !(laws || key->type == ENTRY_FIELDS)) return true;
  if (laws)
    node_error(node, reader->diagnostics, NULL, "the law %.60s takes part in the comparison already", node->text);
  else
    node_error(node, reader->diagnostics, NULL, "%s names %s twice", key->name, text);
  return false;
}

// One item or a list of them.
static void read_list(struct spec_reader *reader, const struct entry_key *key, const struct node *node, const char *own,
                      struct option_list *list) {
  const char *one = key->type == ENTRY_LAWS ? "law" : key->type == ENTRY_FIELDS ? "field" : "name";
  if (node->kind == NODE_MAPPING || node_is_null(node)) {
    node_error(node, reader->diagnostics, key->hint, "%s must be a %s or a list of %ss, not %s", key->name, one, one,
               node_kind_name(node));
    return;
  }
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  list->items = arena_array(&reader->spec->arena, count + 1, sizeof *list->items);
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    const char *text = read_item(reader, key, item);
    if (!text || !check_twice(reader, key, item, list, text, own)) continue;
    if (key->type == ENTRY_FIELDS && !swept(reader->spec, text))
      node_warning(item, reader->diagnostics, NULL, "%s: no sweep varies %s", key->name, text);
    list->items[list->count++] = text;
  }
}

// ---- single values ----

// One of the objectives, by its fitter; the numbers that one of them lacks are distinguished from an unknown word.
static const char *read_objective(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  static const struct {
    const char *head, *needs, *numbers, *hint;
  } kinds[] = {{"huber", "its delta", "a delta", "huber:1e-3"},
               {"student-t", "its degrees of freedom", "degrees of freedom (and a scale)", "student-t:4"},
               {"asymmetric", "the ratio of its sides", "a ratio (and a delta)", "asymmetric:3"}};
  const char *text = spec_read_text(reader, node, key->name);
  struct objective objective;
  if (!text || objective_parse(text, &objective, &(struct error){0})) return text;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t length = strlen(kinds[i].head);
    if (strncmp(text, kinds[i].head, length) != 0 || (text[length] && text[length] != ':')) continue;
    if (text[length])
      node_error(node, reader->diagnostics, kinds[i].hint, "%s needs %s above zero, not '%.40s'", kinds[i].head,
                 kinds[i].numbers, text + length + 1);
    else
      node_error(node, reader->diagnostics, kinds[i].hint, "%s needs %s", kinds[i].head, kinds[i].needs);
    return NULL;
  }
  spec_choice_error(reader, node, key->choices, entry_choice_count(key), key->name);
  return NULL;
}

// A number of nats, or two with the losses they are of: 0.002@3,0.05@7.
static const char *read_noise(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  const char *text = spec_read_text(reader, node, key->name);
  if (!text) return NULL;
  size_t count;
  const char **parts = text_split(&reader->spec->arena, text, "@,", &count);
  bool fine = (count == 1 && !strpbrk(text, "@,")) || count == 4;
  for (size_t i = 0; i < count && fine; i++) {
    double value;
    fine = number_parse(parts[i], &value) && value > 0 && value < 1e300;
  }
  if (fine) return text;
  node_error(node, reader->diagnostics, key->hint,
             "noise is the standard deviation of a run's loss in nats, not '%.40s'", text);
  return NULL;
}

// NAME=NUMBER, parted by commas; the names are those of exponents in C.
static const char *read_pin(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  const char *text = spec_read_text(reader, node, key->name);
  if (!text) return NULL;
  size_t count;
  const char **items = text_split(&reader->spec->arena, text, ", ", &count);
  bool fine = count > 0;
  for (size_t i = 0; i < count && fine; i++) {
    double value;
    fine = (starts_with(items[i], "a=") || starts_with(items[i], "b=")) && number_parse(items[i] + 2, &value) &&
           value > -1e300 && value < 1e300;
  }
  if (fine) return text;
  node_error(node, reader->diagnostics, key->hint, "%s holds a (of N* in C) or b (of D*) at a number, not '%.40s'",
             key->name, text);
  return NULL;
}

static const char *read_one_column(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  struct option_list columns = {0};
  read_list(reader, key, node, NULL, &columns);
  if (columns.count > 1) node_error(node, reader->diagnostics, NULL, "%s is one column", key->name);
  return columns.count ? columns.items[0] : NULL;
}

static const char *read_word(struct spec_reader *reader, const struct entry_key *key, const struct node *node) {
  switch (key->type) {
    case ENTRY_CHOICE:
      return spec_read_choice(reader, node, key->choices, entry_choice_count(key), key->name);
    case ENTRY_COLUMN:
      return read_one_column(reader, key, node);
    case ENTRY_LAW:
      return read_law(reader, node);
    case ENTRY_OBJECTIVE:
      return read_objective(reader, key, node);
    case ENTRY_NOISE:
      return read_noise(reader, key, node);
    case ENTRY_PIN:
      return read_pin(reader, key, node);
    default:
      return spec_read_text(reader, node, key->name);
  }
}

// A number in its range or a truth value; after a diagnostic the member keeps what it had.
static void read_number(struct spec_reader *reader, const struct entry_key *key, const struct node *node,
                        void *member) {
  int64_t integer;
  double number;
  bool truth;
  if (key->type == ENTRY_INTEGER && node_integer(node, &integer) && integer >= key->low && integer <= key->high)
    *(int64_t *)member = integer;
  else if (key->type == ENTRY_FACTOR && node_number(node, &number) && number > key->low && number < 1e300)
    *(double *)member = number;
  else if (key->type == ENTRY_BOOLEAN && node_boolean(node, &truth))
    *(bool *)member = truth;
  else
    node_error(node, reader->diagnostics, key->hint, "%s %s", key->name,
               key->mistake ? key->mistake : "must be true or false");
}

// ---- entries ----

// The value of one key into its member of the entry; `own` is the law read so far.
static void read_key(struct spec_reader *reader, const struct entry_key *key, const struct node *node, const char *own,
                     void *member) {
  if (entry_key_is_list(key)) {
    read_list(reader, key, node, own, member);
  } else if (key->type == ENTRY_CONDITION) {
    const struct expression *tree = spec_read_expression(reader, node, NAMES_OF_STORE, key->name);
    if (tree) *(struct spec_condition *)member = (struct spec_condition){node->text, tree};
  } else if (key->type == ENTRY_INTEGER || key->type == ENTRY_FACTOR || key->type == ENTRY_BOOLEAN) {
    read_number(reader, key, node, member);
  } else {
    const char *text = read_word(reader, key, node);
    if (text) *(const char **)member = text;
  }
}

void spec_read_entry(struct spec_reader *reader, const struct entry_kind *kind, const struct node *node, void *entry) {
  const char *law = NULL, **names = arena_array(&reader->spec->arena, kind->count, sizeof *names);
  entry_default(kind, entry);
  for (size_t k = 0; k < kind->count; k++) names[k] = kind->keys[k].name;
  node_check_keys(node, names, kind->count, kind->name, reader->diagnostics);
  for (const struct entry_key *key = kind->keys; key < kind->keys + kind->count; key++) {
    const struct node *value = node_find(node, key->name);
    void *member = (char *)entry + key->place;
    if (value)
      read_key(reader, key, value, law, member);
    else if (key->required)
      node_error(node, reader->diagnostics, key->hint, "this %s names no %s", kind->name, key->name);
    if (key->type == ENTRY_LAW) law = *(const char **)member;
  }
}

static void read_fit(struct spec_reader *reader, const struct node *node, struct spec_fit *fit) {
  if (node->kind == NODE_SCALAR && !node_is_null(node)) {
    *fit = spec_fit_of_law(read_law(reader, node));
  } else if (node->kind == NODE_MAPPING) {
    spec_read_entry(reader, &fit_entry, node, fit);
  } else {
    *fit = spec_fit_of_law(NULL);
    node_error(node, reader->diagnostics, "fit: [{law: chinchilla}]", "a fit must be a mapping with a law, not %s",
               node_kind_name(node));
  }
  fit->node = node;
  if (!fit->name) fit->name = fit->law;
  if (fit->best_by.text && !fit->best_over.count)
    node_error(node_find(node, "best_by"), reader->diagnostics, "best_over: [train.lr]",
               "best_by says by what best_over takes the best, and there is no best_over");
  for (size_t i = 0; i < fit->best_over.count; i++)
    for (size_t j = 0; j < fit->average_over.count; j++)
      if (strcmp(fit->best_over.items[i], fit->average_over.items[j]) == 0)
        node_error(node_find(node, "average_over"), reader->diagnostics, NULL,
                   "%s is in both best_over and average_over", fit->best_over.items[i]);
}

static void read_isoflop(struct spec_reader *reader, const struct node *node, struct spec_isoflop *entry) {
  spec_read_entry(reader, &isoflop_entry, node, entry);
  entry->node = node;
  if (!entry->name) entry->name = "isoflop";
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
  snprintf(hint, sizeof hint, "give it a name; the other is on line %d", other->line);
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
