// One thing, one name: texts of a spec in the spelling that runs are stored by, and a warning where the values of an
// axis name one thing twice.
#include <stdlib.h>
#include <string.h>

#include "results/columns.h"
#include "runner/spec/internal.h"

const char *spec_text_spelling(void *context, const char *name, const char *text, struct arena *arena) {
  const struct spec *spec = context;
  const struct run_field *field = spec_field_find(spec, name);
  const char *slash = strrchr(spec->path, '/');
  if (field && *text && text[0] != '~' && slash && field_names_files(field, text))
    text = path_join(arena, arena_copy(arena, spec->path, (size_t)(slash - spec->path) + 1), text);
  return run_text_spelling(name, text, arena);
}

// ---- aliases ----

struct spelt {
  const char *value, *written;  // as stored, as in the file
  const struct node *node;
  size_t order;
};

static int by_value(const void *a, const void *b) {
  const struct spelt *x = a, *y = b;
  int order = strcmp(x->value, y->value);
  return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

struct spellings {
  struct arena arena;
  struct spelt *items;
  size_t count, capacity;
};

// Values that were written one by one; those of a range are written once, and lists of files in many places.
static void add_axis(struct spellings *spellings, const struct spec_axis *axis) {
  for (size_t i = 0; i < axis->count; i++) {
    const struct spec_value *value = &axis->values[i];
    if (!value->node || value->node->kind != NODE_SCALAR || value->value.kind == VALUE_MISSING) continue;
    if (i && value->node == axis->values[i - 1].node) return;
    char number[32];
    const char *text = field_text(axis->field, value->value, number);
    if (spellings->count == spellings->capacity) {
      size_t capacity = spellings->capacity ? 2 * spellings->capacity : 16;
      spellings->items =
          arena_grow(&spellings->arena, spellings->items, spellings->count, capacity, sizeof *spellings->items);
      spellings->capacity = capacity;
    }
    spellings->items[spellings->count] = (struct spelt){
        .value =
            arena_string(&spellings->arena,
                         value->value.kind == VALUE_TEXT ? field_spelling(axis->field, text, &spellings->arena) : text),
        .written = value->node->text,
        .node = value->node,
        .order = spellings->count,
    };
    spellings->count++;
  }
}

// One warning for each thing of several spellings, at the second.
static void warn(struct spec_reader *reader, const struct run_field *field, struct spellings *spellings) {
  if (spellings->count > 1) qsort(spellings->items, spellings->count, sizeof *spellings->items, by_value);
  for (size_t i = 0; i < spellings->count;) {
    const struct spelt *first = &spellings->items[i], *other = NULL;
    for (; i < spellings->count && strcmp(spellings->items[i].value, first->value) == 0; i++)
      if (!other && strcmp(spellings->items[i].written, first->written) != 0) other = &spellings->items[i];
    if (!other) continue;
    char a[72], b[72], c[72];
    node_warning(other->node, reader->diagnostics, "write it in one way",
                 "%s: %s (line %d) and %s (line %d) are one value, %s: one run, reported by that name", field->path,
                 text_clipped(first->written, a), first->node->line, text_clipped(other->written, b), other->node->line,
                 text_clipped(first->value, c));
  }
}

void spec_check_spellings(struct spec_reader *reader) {
  const struct spec *spec = reader->spec;
  for (size_t f = 0; f < spec_field_count(spec); f++) {
    const struct run_field *field = spec_field_at(spec, f);
    struct spellings spellings = {0};
    for (size_t s = 0; s < spec->sweep_count; s++)
      for (size_t g = 0; g < spec->sweeps[s].group_count; g++)
        for (size_t a = 0; a < spec->sweeps[s].groups[g].axis_count; a++)
          if (spec->sweeps[s].groups[g].axes[a].field == field)
            add_axis(&spellings, &spec->sweeps[s].groups[g].axes[a]);
    warn(reader, field, &spellings);
    arena_free(&spellings.arena);
  }
}
