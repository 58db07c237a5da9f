// Loading a spec: the document, its top level, base and overrides. See spec.h.
#include "runner/spec/spec.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"
#include "trainer/tasks/task.h"

static void check_top(struct spec_reader *reader, const struct node *root) {
  for (size_t i = 0; i < root->count; i++) {
    const struct node *key = root->keys[i];
    if (starts_with(key->text, "x-")) continue;  // room for anchors
    if (spec_key_known(&spec_top_keys, key->text)) continue;
    if (strlen(key->text) < 100 &&
        (field_find(key->text, NULL) || field_section(key->text) || spec_task_section(key->text))) {
      node_error(key, reader->diagnostics, "base: {...} for all runs, sweep: {grid: {...}} to vary it",
                 "'%s' belongs under base", key->text);
      continue;
    }
    if (spec_key_known(&spec_sweep_keys, key->text)) {
      node_error(key, reader->diagnostics, NULL, "'%s' belongs under sweep", key->text);
      continue;
    }
    struct node one = *root;
    one.keys = &root->keys[i];
    one.items = &root->items[i];
    one.count = 1;
    spec_check_keys(&spec_top_keys, &one, reader->diagnostics);
  }
}

static void take_base(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                      const struct node *value, void *context) {
  struct spec *spec = reader->spec;
  size_t index = spec_field_index(field);
  if (spec_refuse_stage_field(reader, field, key)) return;
  if (spec->base_nodes[index]) {
    char hint[80];
    snprintf(hint, sizeof hint, "it is first on line %d", spec->base_nodes[index]->line);
    node_error(key, reader->diagnostics, hint, "%s is given twice", field->path);
    return;
  }
  spec->base_nodes[index] = value;
  struct spec_value read;
  if (spec_read_value(reader, field, value, &read)) spec_value_put(&spec->base, field, &read);
}

static void read_base(struct spec_reader *reader, const struct node *root) {
  const struct node *corpus = node_find(root, "corpus"), *base = node_find(root, "base");
  if (corpus && corpus->kind == NODE_MAPPING)
    spec_walk_fields(reader, corpus, "corpus", "the spec", take_base, NULL);
  else if (corpus)
    node_error(corpus, reader->diagnostics, "corpus: {source: gcide}", "corpus must be a mapping, not %s",
               node_kind_name(corpus));
  if (base && base->kind == NODE_MAPPING)
    spec_walk_fields(reader, base, NULL, "base", take_base, NULL);
  else if (base)
    node_error(base, reader->diagnostics, "base: {train: {lr: 3e-3}}", "base must be a mapping of fields, not %s",
               node_kind_name(base));
}

// Its mistakes are placed by the option's text, and the column in that: the path's or the value's.
static void read_override(struct spec_reader *reader, const char *text) {
  struct spec *spec = reader->spec;
  char file[200], path[128];
  enum { PATH_COLUMN = 1 };
  snprintf(file, sizeof file, "--set %.150s", text);
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || equals - text > 120) {
    diagnostics_add(reader->diagnostics, false, file, 0, 0, NULL, "--set needs path=value, such as train.lr=1e-3");
    return;
  }
  snprintf(path, sizeof path, "%.*s", (int)(equals - text), text);
  const struct run_field *field = spec_field_find(spec, path);
  if (!field) {
    diagnostics_add(reader->diagnostics, false, file, 0, PATH_COLUMN, spec_field_hint(reader, path),
                    "no field is called '%s'", path);
    return;
  }
  if (strcmp(field->path, "task") == 0 || (spec->task && !field->own && !(field->groups & GROUP_ALL_TASKS))) {
    diagnostics_add(reader->diagnostics, false, file, 0, PATH_COLUMN, NULL, "%s %s %s", field->path,
                    strcmp(field->path, "task") == 0 ? "is what the spec says: change it there, from"
                                                     : "is a field of task lm, not of task",
                    spec->base.task);
    return;
  }
  if (field->stage) {
    diagnostics_add(reader->diagnostics, false, file, 0, PATH_COLUMN, NULL,
                    "%s is a setting of a stage: change it in the spec", field->path);
    return;
  }
  struct error error = {0};
  bool budget = field->groups & GROUP_BUDGET;
  for (size_t i = 0; budget && i < run_field_count; i++) {
    if (!spec->overridden[i] || &run_fields[i] == field || !(run_fields[i].groups & GROUP_BUDGET)) continue;
    diagnostics_add(reader->diagnostics, false, file, 0, PATH_COLUMN, NULL,
                    "--set gives %s already, which says the same thing", run_fields[i].path);
    return;
  }
  if (budget) config_clear_budget(&spec->base);
  if (!spec_set_text(spec, &spec->base, field, equals + 1, &spec->arena, &error)) {
    diagnostics_add_error(reader->diagnostics, file, 0, (int)(equals - text) + 2, &error);
    return;
  }
  spec->overridden[spec_field_index(field)] = true;
}

// corpus.files without a source means these files; besides the default one, too, whoever wrote it.
static void choose_files(struct spec_reader *reader) {
  struct spec *spec = reader->spec;
  const struct run_field *source = field_find("corpus.source", NULL), *files = field_find("corpus.files", NULL);
  size_t s = (size_t)(source - run_fields), f = (size_t)(files - run_fields);
  if ((spec->base_nodes[f] || spec->overridden[f]) && !spec->base_nodes[s] && !spec->overridden[s])
    spec->base.corpus.source = "files";
  else if (spec->base_nodes[s] && *spec->base.corpus.files && strcmp(spec->base.corpus.source, source->fallback) == 0)
    node_warning(spec->base_nodes[s], reader->diagnostics, "leave it out, or corpus.files",
                 "corpus.source %s is not used: corpus.files say what is trained on", source->fallback);
}

bool spec_name_fine(const char *name) {
  size_t length = strlen(name);
  if (!length || length > 100 || !isalnum((unsigned char)name[0])) return false;
  for (size_t i = 0; i < length; i++)
    if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])) return false;
  return true;
}

bool spec_check_name(struct spec_reader *reader, const struct node *name) {
  if (!name) return true;
  if (name->kind != NODE_SCALAR || node_is_null(name))
    node_error(name, reader->diagnostics, NULL, "experiment must be a name, not %s", node_kind_name(name));
  else if (!spec_name_fine(name->text))
    node_error(
        name, reader->diagnostics, NULL,
        "an experiment's name is made of letters, digits, '-', '_' and '.', begins with a letter or a digit, and "
        "has at most 100 of them");
  else
    return true;
  return false;
}

static void read_head(struct spec_reader *reader, const struct node *root) {
  struct spec *spec = reader->spec;
  const struct node *name = node_find(root, "experiment");
  const char *file = strrchr(spec->path, '/');
  file = file ? file + 1 : spec->path;
  size_t length = strlen(file);
  if (ends_with(file, ".yaml")) length -= 5;
  if (ends_with(file, ".yml")) length -= 4;
  spec->name = arena_copy(&spec->arena, file, length);
  if (name) {
    if (spec_check_name(reader, name)) spec->name = name->text;
  } else if (!spec_name_fine(spec->name)) {
    node_error(root, reader->diagnostics, "experiment: my-study", "the experiment needs a name");
  }
  spec->title = spec->name;
}

static void read_about(struct spec_reader *reader, const struct node *root) {
  struct spec *spec = reader->spec;
  const struct node *about = node_find(root, "about");
  spec->about = "";
  if (about && (about->kind != NODE_SCALAR || node_is_null(about)))
    node_error(about, reader->diagnostics, NULL, "about must be text, not %s", node_kind_name(about));
  else if (about)
    spec->about = about->text;
}

static void read_all(struct spec_reader *reader, const struct node *root) {
  struct spec *spec = reader->spec;
  if (root->kind != NODE_MAPPING) {
    node_error(root, reader->diagnostics, "experiment: my-study", "a spec is a mapping, not %s", node_kind_name(root));
    return;
  }
  check_top(reader, root);
  read_head(reader, root);
  root = spec_preset_choose(reader, root);
  read_about(reader, root);
  spec->stored = reader->options->experiment != NULL;
  spec->call = spec->stored ? spec->name : spec->path;
  if (spec->preset && !spec->stored)
    spec->call = arena_format(&spec->arena, "%s --preset %s", spec->path, spec->preset);
  size_t before = reader->diagnostics->errors;
  spec->trainer.node = node_find(root, "trainer");  // which fields of its own need
  spec_read_task(reader, node_find(root, "task"), root);
  if (!spec->task) spec_read_own_fields(reader, node_find(root, "fields"));
  spec_read_trainer(reader, node_find(root, "trainer"));
  read_base(reader, root);
  for (size_t i = 0; i < reader->options->override_count; i++) read_override(reader, reader->options->overrides[i]);
  choose_files(reader);
  spec->base_fine = reader->diagnostics->errors == before;
  spec_read_sweeps(reader, node_find(root, "sweep"));
  spec_read_from(reader, node_find(root, "from"));
  spec_read_stages(reader, node_find(root, "stages"));
  spec_check_spellings(reader);
  spec_read_fits(reader, node_find(root, "fit"));
  spec_read_claims(reader, node_find(root, "claims"));
  spec_read_comparisons(reader, node_find(root, "comparisons"));
  spec_read_report(reader, node_find(root, "report"));
  spec_read_run(reader, node_find(root, "run"));
}

bool spec_parse(struct spec *spec, const char *path, const char *bytes, size_t length,
                const struct spec_options *options, struct diagnostics *diagnostics, struct error *error) {
  static const struct spec_options none = {0};
  struct arena arena = spec->arena;  // spec_load has put the text there
  *spec = (struct spec){.arena = arena};
  spec->path = arena_string(&spec->arena, path);
  spec->source = bytes;
  spec->source_length = length;
  spec->base_nodes = arena_array(&spec->arena, run_field_count + OWN_FIELD_LIMIT, sizeof *spec->base_nodes);
  spec->overridden = arena_array(&spec->arena, run_field_count + OWN_FIELD_LIMIT, sizeof *spec->overridden);
  config_default(&spec->base);
  struct spec_reader reader = {.spec = spec, .options = options ? options : &none, .diagnostics = diagnostics};
  config_default(&reader.scratch);
  const char *slash = strrchr(spec->path, '/');
  if (slash)
    reader.folder = slash == spec->path ? "/" : arena_copy(&spec->arena, spec->path, (size_t)(slash - spec->path));
  spec->root = document_parse(&spec->arena, path, bytes, length, diagnostics);
  if (spec->root) read_all(&reader, spec->root);
  if (!spec->root && !diagnostics->errors)
    return error_set(error, EXIT_USAGE_ERROR, "%s cannot be read as a spec", path);
  return diagnostics_check(diagnostics, path, error);
}

bool spec_load(struct spec *spec, const char *path, const struct spec_options *options, struct diagnostics *diagnostics,
               struct error *error) {
  *spec = (struct spec){0};
  size_t length;
  char *bytes = file_read(&spec->arena, path, &length, error);
  if (!bytes) return false;
  return spec_parse(spec, path, bytes, length, options, diagnostics, error);
}

void spec_free(struct spec *spec) {
  arena_free(&spec->arena);
  *spec = (struct spec){0};
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

const char **spec_law_names(struct arena *arena, size_t *count) {
  *count = 0;
  DIR *folder = opendir(isoloss_data(arena, "laws"));
  if (!folder) return NULL;
  const char **names = arena_array(arena, 256, sizeof *names);
  for (struct dirent *entry; *count < 256 && (entry = readdir(folder));) {
    size_t length = strlen(entry->d_name);
    if (length > 5 && ends_with(entry->d_name, ".yaml"))
      names[(*count)++] = arena_copy(arena, entry->d_name, length - 5);
  }
  closedir(folder);
  qsort(names, *count, sizeof *names, by_name);
  return names;
}
