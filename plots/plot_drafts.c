// Draft trees of speculative decoding: tokens that a verification step accepts, over the trees' nodes and over the size
// of the models whose predictions are drafted, next to the renewal formula and to the published bound.
#include <math.h>
#include <stdlib.h>

#include "plots/build.h"

enum { MOST_LEVELS = 6 };

// Which number of a run shades it, and which is x.
struct view {
  double (*x)(const struct plot_run *run);
  double (*shade)(const struct plot_run *run);
  bool of_models;  // runs with a model, else those without
  enum figure_ticks ticks, shade_ticks;
  const char *shade_title;
};

static double nodes_of(const struct plot_run *run) { return run->draft.nodes; }
// To two digits: seeds of one law have nearly one.
static double mu_of(const struct plot_run *run) { return round(100 * run->draft.mu) / 100; }
static double size_of(const struct plot_run *run) { return run->parameters; }
static double tokens_of(const struct plot_run *run) { return run->tokens; }

static bool is_shown(const struct view *view, const struct plot_run *run) {
  return run->draft.accepted > 0 && view->x(run) > 0 && view->shade(run) > 0 &&
         (run->parameters > 0) == view->of_models;
}

struct point {
  double x, y;
};

static int by_x(const void *a, const void *b) {
  const struct point *p = a, *q = b;
  return (p->x > q->x) - (p->x < q->x);
}

// A line through the means of what theory says of runs with one x.
static void put_theory(struct drawing *drawing, struct point *points, size_t count, struct figure_colour colour,
                       bool bound) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, count);
  line->colour = colour;
  line->dashed = bound;
  line->thin = bound;
  qsort(points, count, sizeof *points, by_x);
  for (size_t i = 0; i < count;) {
    double sum = 0, x = points[i].x, members = 0;
    for (; i < count && points[i].x == x; i++, members++) sum += points[i].y;
    series_point(line, x, sum / members);
  }
}

// How many runs it shows; draws a level of `shade` at a time.
static size_t put_levels(struct drawing *drawing, const struct plot_data *data, const struct view *view,
                         size_t *means) {
  double *shades = arena_array(drawing->arena, data->count + 1, sizeof *shades);
  size_t shown = 0;
  for (size_t i = 0; i < data->count; i++)
    if (is_shown(view, &data->runs[i])) shades[shown++] = view->shade(&data->runs[i]);
  struct levels levels = levels_of(drawing->arena, shades, shown, 0.05, MOST_LEVELS);
  for (size_t level = 0; level < levels.count && shown; level++) {
    struct sample *samples = arena_array(drawing->arena, shown, sizeof *samples);
    struct point *formula = arena_array(drawing->arena, shown, sizeof *formula),
                 *bound = arena_array(drawing->arena, shown, sizeof *bound);
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++) {
      const struct plot_run *run = &data->runs[i];
      if (!is_shown(view, run) || level_of(&levels, view->shade(run)) != level) continue;
      samples[count] = (struct sample){run->setting, i, view->x(run), run->draft.accepted};
      formula[count] = (struct point){view->x(run), run->draft.renewal};
      bound[count++] = (struct point){view->x(run), run->draft.bound};
    }
    struct figure_colour colour = level_colour(&levels, level);
    put_theory(drawing, formula, count, colour, false);
    put_theory(drawing, bound, count, colour, true);
    struct figure_series *points = drawing_series(drawing, MARK_POINTS, count);
    points->colour = colour;
    points->shape = (int)level % 4;
    points->legend_line = true;
    points->label = level_label(drawing->arena, &levels, level, view->shade_ticks);
    *means += series_means(drawing, points, samples, count);
  }
  return shown;
}

static size_t plot_view(struct arena *arena, const struct plot_data *data, struct figure *figure,
                        const struct view *view, size_t *means) {
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  size_t shown = put_levels(&drawing, data, view, means);
  if (!shown) return 0;
  drawing_end(&drawing);
  figure->legend = view->shade_title;
  figure->y = figure_axis("accepted tokens per step", NULL, SCALE_LOG, TICKS_PLAIN);
  return shown;
}

bool plot_drafts_vs_nodes(struct arena *arena, const struct plot_data *data, struct figure *figure,
                          const char **nothing) {
  struct measure mu = {"speculative.mu", NULL, "mean entropy mu", "mu", "mu", measure_of("speculative.mu", NULL).unit};
  const struct view view = {nodes_of, mu_of, false, TICKS_COUNT, TICKS_PLAIN, measure_words(&mu, arena)};
  size_t means = 0, shown = plot_view(arena, data, figure, &view, &means);
  if (!shown) {
    *nothing = "no run grew draft trees on synthetic laws";
    return false;
  }
  figure->x = figure_axis("nodes of a draft tree", NULL, SCALE_LOG, view.ticks);
  figure->y.scale = SCALE_LINEAR;  // what grows with ln P is straight
  figure->title = "Accepted tokens against draft nodes";
  figure->caption =
      arena_format(arena,
                   "Expected tokens that a verification step accepts of the best draft tree, of %zu runs on "
                   "synthetic next-token laws. Lines: the renewal formula; dashed: the leading term of the "
                   "published bound.%s",
                   shown, means ? means_words : "");
  return true;
}

bool plot_drafts_vs_size(struct arena *arena, const struct plot_data *data, struct figure *figure,
                         const char **nothing) {
  struct measures words = words_of(data);
  const struct view view = {size_of, tokens_of, true, TICKS_COUNT, TICKS_COUNT, words.length.name};
  size_t means = 0, shown = plot_view(arena, data, figure, &view, &means);
  if (!shown) {
    *nothing = "no run grew draft trees on a model's predictions";
    return false;
  }
  figure->x = size_axis(data);
  figure->title = against_title(arena, "accepted tokens", words.size.title);
  figure->caption =
      arena_format(arena,
                   "Expected tokens that a verification step accepts of the best draft tree on a model's own "
                   "predictions, of %zu runs. Lines: the renewal formula by the model's mean entropy, as if "
                   "laws were independent; dashed: the leading term of the published bound.%s",
                   shown, means ? means_words : "");
  return true;
}
