// Which format gives the lowest loss at each model size and token count by the fitted law: with the same tokens for
// all, and in the same training time.
#include <math.h>
#include <string.h>

#include "plots/regions.h"

static const double full_bits = 16, beyond = 10;

// What a token costs in a format, over what it costs in full precision: of the three products of a training step the
// forward one takes weights and activations, the others gradients and one of these; each takes time in proportion to
// the bits of its wider operand. NAN where bits are not known.
static double time_of(const double bits[3]) {
  for (int i = 0; i < 3; i++)
    if (!(bits[i] > 0)) return NAN;
  return (fmax(bits[0], bits[1]) + fmax(bits[0], bits[2]) + fmax(bits[1], bits[2])) / (3 * full_bits);
}

static double loss_with_tokens(const struct plane *plane, size_t format, double parameters, double tokens) {
  const struct plot_fit *fit = plane->data->fit;
  return fit->evaluate(fit->context, plane->names[format], parameters, tokens);
}

static double loss_in_time(const struct plane *plane, size_t format, double parameters, double tokens) {
  const double *times = plane->context;
  return loss_with_tokens(plane, format, parameters, tokens / times[format]);
}

static bool is_open(const struct plot_fit *fit, const char *format) {
  for (size_t i = 0; i < fit->open_format_count; i++)
    if (strcmp(fit->open_formats[i], format) == 0) return true;
  return false;
}

// The formats whose factors the runs determine, and what a token costs in each; the others are named in *out.
static void gather_formats(struct arena *arena, const struct plot_data *data, struct plane *plane, double *times,
                           const char **out) {
  struct formats formats = formats_of(arena, data);
  plane->names = arena_array(arena, formats.count + 1, sizeof *plane->names);
  for (size_t f = 0; f < formats.count; f++) {
    const char *name = formats.names[f];
    if (is_open(data->fit, name)) {
      *out = **out ? arena_format(arena, "%s, %s", *out, name) : name;
      continue;
    }
    times[plane->count] = NAN;
    for (size_t i = 0; i < data->count && isnan(times[plane->count]); i++)
      if (strcmp(data->runs[i].format, name) == 0) times[plane->count] = time_of(data->runs[i].bits);
    plane->names[plane->count++] = name;
  }
}

static void gather_range(const struct plot_data *data, struct plane *plane) {
  plane->runs[0] = plane->runs[2] = INFINITY;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    const double at[2] = {run->parameters, run->tokens};
    if (!has_loss(run) || !run->fitted) continue;
    for (int axis = 0; axis < 2; axis++) {
      if (!(at[axis] > 0)) continue;
      plane->runs[2 * axis] = fmin(plane->runs[2 * axis], at[axis]);
      plane->runs[2 * axis + 1] = fmax(plane->runs[2 * axis + 1], at[axis]);
    }
  }
  for (int axis = 0; axis < 2; axis++) {
    plane->low[axis] = plane->runs[2 * axis] / beyond;
    plane->high[axis] = plane->runs[2 * axis + 1] * beyond;
  }
}

static const char *names_of_winners(struct arena *arena, const struct plane *plane, const bool *wins) {
  const char *words = "";
  for (size_t f = 0; f < plane->count; f++)
    if (wins[f]) words = *words ? arena_format(arena, "%s, %s", words, plane->names[f]) : plane->names[f];
  return words;
}

static const char *why_not(struct arena *arena, const struct plot_data *data, const struct plane *plane,
                           const char *open) {
  const struct plot_fit *fit = data->fit;
  if (!fit) return "there is no fit";
  if (!fit->evaluate) return "the law cannot be evaluated at N and D alone";
  if (fit->open_coefficient)
    return arena_format(arena, "these runs do not determine %s of the law", fit->open_coefficient);
  if (plane->count < 2)
    return *open ? arena_format(arena, "these runs do not determine the factors of %s", open)
                 : "the runs have one format";
  if (!(plane->runs[1] > 0) || !(plane->runs[3] > 0)) return "no run with a loss took part in the fit";
  return NULL;
}

bool plot_precision_regions(struct arena *arena, const struct plot_data *data, struct figure *figure,
                            const char **nothing) {
  struct plane plane = {.data = data, .loss = loss_with_tokens};
  double *times = arena_array(arena, data->count + 1, sizeof *times);
  const char *open = "";
  if (data->fit) {
    gather_formats(arena, data, &plane, times, &open);
    gather_range(data, &plane);
  }
  if ((*nothing = why_not(arena, data, &plane, open)) || !of_losses(arena, data, nothing)) return false;
  bool timed = true, *wins = arena_array(arena, plane.count, sizeof *wins);
  for (size_t f = 0; f < plane.count; f++) timed &= isfinite(times[f]);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, timed ? "the same tokens" : NULL);
  if (!plane_draw(&drawing, &plane, true, wins)) {
    *nothing = "the law gives no loss for these formats";
    return false;
  }
  const char *winners = names_of_winners(arena, &plane, wins), *in_time = "";
  if (timed) {
    drawing_panel(&drawing, "the same time");
    plane.loss = loss_in_time;
    plane.context = times;
    plane_draw(&drawing, &plane, true, wins);
    in_time = arena_format(
        arena,
        " In the same time as the tokens take in full precision, where a product takes time in proportion to the bits of "
        "its wider operand: %s.",
        names_of_winners(arena, &plane, wins));
  }
  drawing_end(&drawing);
  figure->aspect = 1;
  plane_axes(figure, &plane, size_axis(data));
  figure->title = "Best format by size and tokens";
  figure->caption = arena_format(
      arena,
      "The format of the lowest loss by the fitted law (%s). With the same tokens: %s.%s The fitted runs span the dashed "
      "frame; what is hatched is extrapolated.%s",
      data->fit->law, winners, in_time,
      *open ? arena_format(arena, " Left out, since these runs do not determine their factors: %s.", open) : "");
  return true;
}
