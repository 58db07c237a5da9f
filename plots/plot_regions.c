// Which format gives the lowest loss for so many bytes of weights and so many tokens, by the fitted law.
#include <math.h>
#include <string.h>

#include "plots/build.h"

enum { ACROSS = 97, UP = 193, MOST_PARTS = 6 };  // of the grid; pieces of one format's region above one place
static const double full_bits = 16, beyond = 3;

struct regions {
  const struct plot_data *data;
  const char **names;
  double *bits;  // per weight of the blocks
  size_t count;
  double low[2], high[2];  // bytes, tokens
};

static double bits_of(const struct plot_fit *fit, const char *format) {
  for (size_t i = 0; i < fit->effective_count; i++)
    if (strcmp(fit->effective[i].format, format) == 0) return fit->effective[i].weight_bits;
  return strcmp(format, "none") == 0 ? full_bits : NAN;
}

// The format of the lowest loss at a place; SIZE_MAX where the law cannot tell.
static size_t best_at(const struct regions *r, double bytes, double tokens) {
  size_t best = SIZE_MAX;
  double least = INFINITY;
  for (size_t f = 0; f < r->count; f++) {
    double loss = r->data->fit->evaluate(r->data->fit->context, r->names[f], 8 * bytes / r->bits[f], tokens);
    if (!(loss < least)) continue;
    least = loss;
    best = f;
  }
  return best;
}

static double place(const struct regions *r, int axis, int i, int count) {
  return exp(log(r->low[axis]) + (log(r->high[axis]) - log(r->low[axis])) * i / (count - 1));
}

// A format's region as bands: the k-th one has, at each place across, the k-th piece of it from below. Returns whether
// there is any.
static bool put_region(struct drawing *drawing, const struct regions *r, const size_t *best, size_t format,
                       struct figure_colour colour) {
  double *low[MOST_PARTS], *high[MOST_PARTS];
  double half = exp(0.5 * (log(r->high[1]) - log(r->low[1])) / (UP - 1));
  for (int part = 0; part < MOST_PARTS; part++) {
    low[part] = arena_array(drawing->arena, ACROSS, sizeof(double));
    high[part] = arena_array(drawing->arena, ACROSS, sizeof(double));
  }
  bool any = false;
  for (int part = 0; part < MOST_PARTS; part++) {
    bool there = false;
    struct figure_series *band = NULL;
    for (int i = 0; i < ACROSS; i++) {
      int seen = -1;
      for (int k = 0; k < UP; k++) {
        bool begins = best[i * UP + k] == format && (k == 0 || best[i * UP + k - 1] != format);
        seen += begins;
        if (!begins || seen != part) continue;
        int end = k;
        while (end + 1 < UP && best[i * UP + end + 1] == format) end++;
        if (!there) band = drawing_series(drawing, MARK_BAND, ACROSS);
        there = true;
        double bottom = place(r, 1, k, UP) / half, top = place(r, 1, end, UP) * half;
        low[part][band->count] = fmax(bottom, r->low[1]);
        high[part][band->count] = fmin(top, r->high[1]);
        series_point(band, place(r, 0, i, ACROSS), bottom);
      }
    }
    if (!there) break;
    any = true;
    band->colour = colour;
    band->low = low[part];
    band->high = high[part];
    band->label = part == 0 ? r->names[format] : NULL;
  }
  return any;
}

static bool gather(struct arena *arena, const struct plot_data *data, struct regions *r, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  struct formats formats = formats_of(arena, data);
  *r = (struct regions){.data = data, .low = {INFINITY, INFINITY}};
  r->names = arena_array(arena, formats.count + 1, sizeof *r->names);
  r->bits = arena_array(arena, formats.count + 1, sizeof *r->bits);
  for (size_t f = 0; fit && f < formats.count; f++) {
    double bits = bits_of(fit, formats.names[f]);
    if (!(bits > 0)) continue;
    r->bits[r->count] = bits;
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
  struct regions r;
  if (!gather(arena, data, &r, nothing)) return false;
  double runs[4] = {r.low[0], r.high[0], r.low[1], r.high[1]};
  for (int axis = 0; axis < 2; axis++) {
    r.low[axis] /= beyond;
    r.high[axis] *= beyond;
  }
  size_t *best = arena_array(arena, ACROSS * UP, sizeof *best);
  for (int i = 0; i < ACROSS; i++)
    for (int k = 0; k < UP; k++) best[i * UP + k] = best_at(&r, place(&r, 0, i, ACROSS), place(&r, 1, k, UP));
  const struct look *looks = format_looks(arena, r.names, r.count);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  bool any = false;
  for (size_t f = 0; f < r.count; f++) any |= put_region(&drawing, &r, best, f, looks[f].colour);
  if (!any) {
    *nothing = "the law gives no loss for these formats";
    return false;
  }
  // What the runs span.
  struct figure_series *frame = drawing_series(&drawing, MARK_LINE, 5);
  static const int corners[5][2] = {{0, 2}, {1, 2}, {1, 3}, {0, 3}, {0, 2}};
  for (int i = 0; i < 5; i++) series_point(frame, runs[corners[i][0]], runs[corners[i][1]]);
  frame->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  frame->dashed = frame->thin = true;
  frame->label = "the runs";
  drawing_end(&drawing);
  figure->legend = "lowest loss";
  figure->x = figure_axis("weights of the blocks", "bytes", SCALE_LOG, TICKS_COUNT);
  figure->y = figure_axis("training tokens", "", SCALE_LOG, TICKS_COUNT);
  figure->x.low = r.low[0];
  figure->x.high = r.high[0];
  figure->y.low = r.low[1];
  figure->y.high = r.high[1];
  figure->title = "Best format for its bytes";
  figure->caption = arena_format(
      arena,
      "The format of the lowest loss by the fitted law (%s) for so many bytes of the blocks' weights and so many tokens: a "
      "format of fewer bits has more parameters in them. The runs span the dashed frame, the rest is extrapolated.",
      data->fit->law);
  return true;
}
