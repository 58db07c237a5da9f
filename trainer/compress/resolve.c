// What settings come to: the format that they name or stand for, and why a method cannot take it. See internal.h.
#include <math.h>
#include <string.h>

#include "kernels/formats/codebook.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"
#include "kernels/formats/vector_grid.h"
#include "trainer/compress/internal.h"
#include "trainer/formats.h"

const struct representation *weights_representation(const struct compress_settings *settings) {
  return settings->parsed_format ? &settings->parsed_format->operands[OPERAND_WEIGHTS] : NULL;
}

bool higgs_grid(int p, int n, struct grid *grid) {
  if (p == 1) {
    const double *levels = gaussian_levels(n);
    if (levels) *grid = grid_levels(levels, n);
    return levels != NULL;
  }
  *grid = (struct grid){.kind = GRID_VECTOR, .count = n, .dimension = p};
  return vector_grid_find(p, n) != NULL;
}

// "2:4"; false when it is not such a text.
static bool pattern_read(const char *text, int *n, int *m) {
  struct piece piece = piece_of(text);
  return piece_take_number(&piece, n) && piece_take(&piece, ":") && piece_take_number(&piece, m) && piece.length == 0 &&
         *n >= 1 && *n < *m && *m <= 64;
}

struct pruning pruning_of(const struct compress_settings *settings, const struct compress_layer *layer) {
  struct pruning pruning = {.sparsity = settings->sparsity, .parts = layer->parts > 0 ? layer->parts : 1};
  for (int part = 0; part < layer->parts; part++) pruning.part_outputs[part] = layer->part_outputs[part];
  if (layer->parts == 0) pruning.part_outputs[0] = layer->outputs;
  if (*settings->pattern) pattern_read(settings->pattern, &pruning.n, &pruning.m);
  return pruning;
}

struct representation resolved_representation(const struct compress_settings *settings, int64_t inputs) {
  struct representation representation = {0};
  const struct representation *weights = weights_representation(settings);
  if (weights) representation = *weights;
  if (settings->method->prunes) {
    int n = 0, m = 0;
    bool pattern = *settings->pattern && pattern_read(settings->pattern, &n, &m);
    representation.sparsity = sparsity_plain(pattern ? SPARSITY_N_M : SPARSITY_TOP, settings->sparsity, n, m);
  }
  if (compress_method_reads(settings->method, "p") &&
      higgs_grid((int)settings->p, (int)settings->n, &representation.grid)) {
    struct hadamard hadamard = {HADAMARD_RANDOM, 1, false};
    int64_t most = settings->group == AUTO_INTEGER ? 1024 : settings->group;
    while (hadamard.block * 2 <= most && inputs % (hadamard.block * 2) == 0) hadamard.block *= 2;
    representation.hadamard = hadamard;
    representation.scale = (struct scale){SCALE_RMS, SCALE_PER_GROUP, SCALE_FLOAT, hadamard.block, 1, true};
  }
  return representation;
}

// ---- why not ----

static bool cannot(const struct compress_settings *settings, const char *why, struct error *error) {
  error_set(error, EXIT_USAGE_ERROR, "%s cannot take the format %s: %s", settings->method->name,
            settings->parsed_format->name, why);
  return error_about(error, "format", NULL);
}

bool check_one_by_one(const struct compress_settings *settings, struct error *error) {
  const struct representation *weights = weights_representation(settings);
  const struct grid *grid = &weights->grid;
  bool unbounded = strcmp(settings->range, "unbounded") == 0, searched = strcmp(settings->clip, "mse") == 0;
  if (weights->sparsity.kind != SPARSITY_NONE)
    return cannot(settings, "it prunes; sparsegpt and magnitude prune, and round what is kept", error);
  if (grid->kind == GRID_NOISE) return cannot(settings, "noise has no nearest level", error);
  if (weights->scale.unit == SCALE_PER_SQUARE)
    return cannot(settings, "blocks of several rows share a scale, and rows are rounded one by one", error);
  if (weights->rounding != ROUND_NEAREST)
    return cannot(settings, "it rounds at random, and errors are made up for by rounding to nearest", error);
  if (unbounded && grid->kind != GRID_UNIFORM)
    return cannot(settings, "range unbounded is of integer grids, whose levels can go on", error);
  if (unbounded && searched)
    return error_set(error, EXIT_USAGE_ERROR,
                     "clip mse looks for where to clip, range unbounded does not clip: leave "
                     "one out");
  if (searched && (weights->scale.rule != SCALE_ABSMAX || grid->kind == GRID_VECTOR))
    return cannot(settings, "clip mse shrinks scales that follow from the largest magnitude (absmax)", error);
  if (searched && weights->scale.unit == SCALE_PER_TENSOR)
    return cannot(settings, "clip mse is of rows and groups, and it has one scale a matrix", error);
  if (strcmp(settings->order, "min-pivot") == 0 && grid->kind == GRID_VECTOR)
    return cannot(settings, "order min-pivot is of single inputs, and a vector grid rounds several together", error);
  return true;
}

bool check_pruning(const struct compress_settings *settings, struct error *error) {
  const struct representation *weights = weights_representation(settings);
  int n, m;
  if (*settings->pattern && !pattern_read(settings->pattern, &n, &m)) {
    error_set(error, EXIT_USAGE_ERROR,
              "pattern must be N:M, N of M neighbours kept, as 2:4, with M at most 64, not "
              "'%.40s'",
              settings->pattern);
    return error_about(error, "pattern", NULL);
  }
  struct compress_settings plain;
  compress_default(&plain, settings->method);
  if (*settings->pattern && settings->sparsity != plain.sparsity) {
    error_set(error, EXIT_USAGE_ERROR, "sparsity %g is next to pattern %s, which says how many are kept: leave one out",
              settings->sparsity, settings->pattern);
    return error_about(error, "sparsity", "pattern", NULL);
  }
  if (!weights) return true;
  if (!check_one_by_one(settings, error)) return false;
  if (weights->grid.kind == GRID_VECTOR)
    return cannot(settings, "points in several dimensions do not keep single zeroes", error);
  if (weights->hadamard.kind != HADAMARD_NONE)
    return cannot(settings, "its Hadamard transform would spread the zeroes; write the grid with [no-hadamard]", error);
  return true;
}

// What no method can do after training.
static bool check_format(const struct compress_settings *settings, struct error *error) {
  const struct representation *weights = weights_representation(settings);
  const struct sparsity *sparsity = &weights->sparsity;
  if (representation_is_none(weights)) return cannot(settings, "it leaves weights as they are", error);
  if (weights->scale.rule == SCALE_LEARNED && weights->grid.kind != GRID_NONE)
    return cannot(settings, "its scale is learned while training", error);
  if (sparsity->kind == SPARSITY_TOP && (sparsity->scope == SCOPE_GLOBAL || sparsity->schedule != SCHEDULE_CONSTANT))
    return cannot(settings, "schedules, and one threshold for all matrices, are for training", error);
  return true;
}

static bool take_format(struct compress_settings *settings, struct arena *arena, struct error *error) {
  bool bits = settings->bits != AUTO_INTEGER, group = settings->group != AUTO_INTEGER, given = *settings->format != 0;
  if (bits && given)
    error_set(error, EXIT_USAGE_ERROR, "format and bits both say what weights become: leave one out");
  else if (group && !bits)
    error_set(error, EXIT_USAGE_ERROR, "group goes with bits; a format has its own, as int4-g128");
  else if (!bits && !given && !settings->method->prunes)
    error_set(error, EXIT_USAGE_ERROR, "%s needs a format, as nvfp4 or int4-g128, or bits", settings->method->name);
  else if (!bits && !given)
    return true;
  else if (bits)
    settings->parsed_format =
        format_parse(group ? arena_format(arena, "int%d-g%d", (int)settings->bits, (int)settings->group)
                           : arena_format(arena, "absmax-int%d", (int)settings->bits),
                     arena, error);
  else
    settings->parsed_format = format_read(settings->format, arena, error);
  if (!settings->parsed_format) return error_about(error, "format", "bits", NULL);
  return check_format(settings, error);
}

bool compress_resolve(struct compress_settings *settings, struct arena *arena, struct error *error) {
  const struct compress_method *method = settings->method;
  settings->parsed_format = NULL;
  if (compress_method_reads(method, "format") && !take_format(settings, arena, error)) return false;
  if (compress_method_reads(method, "p") && settings->group == AUTO_INTEGER) settings->group = 1024;
  return !method->check || method->check(settings, error);
}
