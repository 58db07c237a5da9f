// `run: {halving: ...}`: runs that differ in the named axes alone compete, and the worst of them are stopped on the
// way.
#include <math.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

// Whether some sweep gives the field several values, or derives it.
static bool is_axis(const struct spec *spec, const struct run_field *field) {
  for (size_t s = 0; s < spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
        if (sweep->groups[g].axes[a].field == field) return true;
    for (size_t i = 0; i < sweep->set_count; i++)
      if (sweep->set[i].field == field) return true;
  }
  return false;
}

static bool any_sweep_broken(const struct spec *spec) {
  for (size_t s = 0; s < spec->sweep_count; s++)
    if (spec->sweeps[s].broken) return true;
  return false;
}

static bool is_among(const struct run_field *const *fields, size_t count, const struct run_field *field) {
  for (size_t i = 0; i < count; i++)
    if (fields[i] == field) return true;
  return false;
}

// Behind `over`.
static void read_average(struct spec_reader *reader, const struct node *node) {
  struct spec_halving *halving = &reader->spec->halving;
  const char *path = spec_read_text(reader, node, "average_over");
  if (!path) return;
  const struct run_field *field = spec_field_find(reader->spec, path);
  if (!field)
    node_error(node, reader->diagnostics, spec_field_hint(reader, path), "halving: no field is called '%.60s'", path);
  else if (is_among(halving->over, halving->over_count, field) ||
           is_among(halving->average, halving->average_count, field))
    node_error(node, reader->diagnostics, NULL, "halving: %s is twice in over and average_over", path);
  else if (field->groups & GROUP_BUDGET)
    node_error(node, reader->diagnostics, "average_over: seed",
               "halving: average_over %s: competitors must train the same steps", path);
  else if (!is_axis(reader->spec, field) && !any_sweep_broken(reader->spec))
    node_error(node, reader->diagnostics, "an axis of the sweep, such as seed",
               "halving: average_over %s, which is no axis of the sweep: all runs have the same", path);
  else if (halving->average_count == HALVING_AXES)
    node_error(node, reader->diagnostics, NULL, "halving: at most %d axes", HALVING_AXES);
  else
    halving->average[halving->average_count++] = field;
}

// A mean over seeds of a fit, of runs of which each seed had others stopped, would be of whatever seeds were left.
static void check_fits(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  const struct spec_halving *halving = &spec->halving;
  for (size_t f = 0; f < spec->fit_count; f++)
    for (size_t i = 0; i < spec->fits[f].average_over.count; i++) {
      const struct run_field *field = spec_field_find(spec, spec->fits[f].average_over.items[i]);
      if (!field || !is_axis(spec, field) || is_among(halving->over, halving->over_count, field) ||
          is_among(halving->average, halving->average_count, field))
        continue;
      node_error(
          node, reader->diagnostics,
          arena_format(&spec->arena, "average_over: %s, which decides by their mean loss", field->path),
          "halving decides for each %s by itself, and the fit %s averages over it: what continues with one may be "
          "stopped with another",
          field->path, spec->fits[f].name);
      return;
    }
}

static void read_axis(struct spec_reader *reader, const struct node *node) {
  struct spec_halving *halving = &reader->spec->halving;
  const char *path = spec_read_text(reader, node, "over");
  if (!path) return;
  const struct run_field *field = spec_field_find(reader->spec, path);
  for (size_t i = 0; field && i < halving->over_count; i++)
    if (halving->over[i] == field) {
      node_error(node, reader->diagnostics, NULL, "halving: %s is twice in over", path);
      return;
    }
  if (!field)
    node_error(node, reader->diagnostics, spec_field_hint(reader, path), "halving: no field is called '%.60s'", path);
  else if (strcmp(path, "seed") == 0)
    node_error(node, reader->diagnostics, NULL,
               "halving over seeds would keep the luckiest: what seeds tell is how far runs differ by chance "
               "(average_over: seed decides by their mean)");
  else if (field->groups & GROUP_BUDGET)
    node_error(node, reader->diagnostics, "over: train.lr", "halving over %s: competitors must train the same steps",
               path);
  else if (field->effect != EFFECT_COUNTS)
    node_error(node, reader->diagnostics, "over: train.lr", "halving over %s: it makes no run another one", path);
  else if (!is_axis(reader->spec, field) && !any_sweep_broken(reader->spec))
    node_error(node, reader->diagnostics, "an axis of the sweep, such as train.lr",
               "halving over %s, which is no axis of the sweep: all runs have the same", path);
  else if (halving->over_count == HALVING_AXES)
    node_error(node, reader->diagnostics, NULL, "halving: at most %d axes", HALVING_AXES);
  else
    halving->over[halving->over_count++] = field;
}

// "1/2", "0.5": above 0 and below 1; else NAN.
static double share_of(const char *text) {
  char number[32];
  const char *slash = strchr(text, '/');
  double value, by = 1;
  size_t length = slash ? (size_t)(slash - text) : strlen(text);
  while (length > 0 && text[length - 1] == ' ') length--;
  if (length == 0 || length >= sizeof number) return NAN;
  memcpy(number, text, length);
  number[length] = '\0';
  if (!number_parse(number, &value)) return NAN;
  if (slash && (!number_parse(slash + 1 + strspn(slash + 1, " "), &by) || !(by > 0))) return NAN;
  value /= by;
  return value > 0 && value < 1 ? value : NAN;
}

static void read_rung(struct spec_reader *reader, const struct node *node) {
  struct spec_halving *halving = &reader->spec->halving;
  const char *text = spec_read_text(reader, node, "at");
  if (!text) return;
  double share = share_of(text);
  size_t count = halving->rung_count;
  if (isnan(share))
    node_error(node, reader->diagnostics, "at: [0.25, 0.5]",
               "halving: at must be shares of a run's steps between 0 and 1, not '%.40s'", text);
  else if (count > 0 && share <= halving->at[count - 1])
    node_error(node, reader->diagnostics, "at: [0.25, 0.5]", "halving: the shares of at must ascend");
  else if (count == HALVING_RUNGS)
    node_error(node, reader->diagnostics, NULL, "halving: at most %d shares", HALVING_RUNGS);
  else
    halving->at[halving->rung_count++] = share;
}

// One value, or a list of them, each to `read`.
static void read_each(struct spec_reader *reader, const struct node *node, const char *what,
                      void (*read)(struct spec_reader *, const struct node *)) {
  if (node->kind != NODE_SEQUENCE)
    read(reader, node);
  else if (node->count == 0)
    node_error(node, reader->diagnostics, NULL, "halving: %s is empty", what);
  else
    for (size_t i = 0; i < node->count; i++) read(reader, node->items[i]);
}

void spec_read_halving(struct spec_reader *reader, const struct node *node) {
  static const char example[] = "halving: {over: train.lr, keep: 1/2, at: [0.25, 0.5]}";
  struct spec_halving *halving = &reader->spec->halving;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, example, "halving must be a mapping, not %s", node_kind_name(node));
    return;
  }
  spec_check_keys(&spec_halving_keys, node, reader->diagnostics);
  if (reader->spec->from) {
    node_error(node, reader->diagnostics, NULL, "halving stops trainings on the way: with from nothing is trained");
    return;
  }
  const struct node *over = node_find(node, "over"), *keep = node_find(node, "keep"), *at = node_find(node, "at");
  halving->node = node;
  halving->keep = 0.5;
  if (!over || !at)
    node_error(
        node, reader->diagnostics, example, "halving needs %s",
        over ? "at: the shares of a run's steps at which the worst are stopped" : "over: the axis whose runs compete");
  if (over) read_each(reader, over, "over", read_axis);
  const struct node *average = node_find(node, "average_over");
  if (average) read_each(reader, average, "average_over", read_average);
  if (at) read_each(reader, at, "at", read_rung);
  const char *text = keep ? spec_read_text(reader, keep, "keep") : NULL;
  if (text && isnan(halving->keep = share_of(text)))
    node_error(keep, reader->diagnostics, "keep: 1/2", "halving: keep must be a share between 0 and 1, not '%.40s'",
               text);
  check_fits(reader, node);
}
