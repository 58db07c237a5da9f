// Which format gives the lowest loss for each number of bytes of weights and of tokens, by the fitted law.
#include <math.h>
#include <string.h>

#include "plots/regions.h"

static const double full_bits = 16, beyond = 3;

static double bits_of(const struct plot_fit *fit, const char *format) {
  for (size_t i = 0; i < fit->effective_count; i++)
    if (strcmp(fit->effective[i].format, format) == 0) return fit->effective[i].weight_bits;
  return strcmp(format, "none") == 0 ? full_bits : NAN;
}

static double loss_for_bytes(const struct plane *plane, size_t format, double bytes, double tokens) {
  const struct plot_fit *fit = plane->data->fit;
  const double *bits = plane->context;
  return fit->evaluate(fit->context, plane->names[format], 8 * bytes / bits[format], tokens);
}

static bool gather(struct arena *arena, const struct plot_data *data, struct plane *r, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  struct formats formats = formats_of(arena, data);
  double *known = arena_array(arena, formats.count + 1, sizeof *known);
  *r = (struct plane){.data = data, .loss = loss_for_bytes, .context = known, .low = {INFINITY, INFINITY}};
  r->names = arena_array(arena, formats.count + 1, sizeof *r->names);
  for (size_t f = 0; fit && f < formats.count; f++) {
    double bits = bits_of(fit, formats.names[f]);
    if (!(bits > 0)) continue;
    known[r->count] = bits;
    r->names[r->count++] = formats.names[f];
  }
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    double bits = fit ? bits_of(fit, run->format) : NAN, bytes = run->parameters * bits / 8;
    if (!has_loss(run) || !(bytes > 0) || !(run->tokens > 0)) continue;
    r->low[0] = fmin(r->low[0], bytes);
    r->high[0] = fmax(r->high[0], bytes);
    r->low[1] = fmin(r->low[1], run->tokens);
    r->high[1] = fmax(r->high[1], run->tokens);
  }
  if (!fit || !fit->evaluate)
    *nothing = fit ? "the law cannot be evaluated at N and D alone" : "there is no fit";
  else if (r->count < 2)
    *nothing = "there are not two formats whose bits per weight are known";
  else if (!(r->high[0] > 0))
    *nothing = "no run has a final loss yet";
  else
    return true;
  return false;
}

bool plot_best_format(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct plane r;
  if (!gather(arena, data, &r, nothing) || !of_losses(arena, data, nothing)) return false;
  for (int axis = 0; axis < 2; axis++) {
    r.runs[2 * axis] = r.low[axis];
    r.runs[2 * axis + 1] = r.high[axis];
    r.low[axis] /= beyond;
    r.high[axis] *= beyond;
  }
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  if (!plane_draw(&drawing, &r, false, NULL)) {
    *nothing = "the law gives no loss for these formats";
    return false;
  }
  drawing_end(&drawing);
  plane_axes(figure, &r, figure_axis("weights of the blocks", "bytes", SCALE_LOG, TICKS_COUNT));
  figure->title = "Best format for its bytes";
  figure->caption = arena_format(
      arena,
      "The format of the lowest loss by the fitted law (%s) for each number of bytes of the blocks' weights and of "
      "tokens: a format of fewer bits has more parameters in them. The runs span the dashed frame, the rest is "
      "extrapolated.",
      data->fit->law);
  return true;
}
