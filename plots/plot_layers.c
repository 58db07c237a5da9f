// What stages made of the matrices of a model, as bars by block and matrix: the error over its bound, bits, zeros.
#include <math.h>
#include <string.h>

#include "plots/build.h"

enum { MOST_ROWS = 28 };  // of bars in a panel; of more, the matrices of a block are one

struct quantity {
  const char *title, *axis, *words, *lacking;
  bool percent;
  double line;  // a reference to draw, or NAN
};
static const struct quantity quantities[LAYER_NUMBERS] = {
    {"Error over its bound by layer", "error over its bound",
     "Squared error of the layers' outputs, damping included, over the bound that the method promises without clipping",
     "no stage has an error and a bound of it", false, 1.0 / 3},
    {"Bits by layer", "stored bits a weight", "Stored bits a weight, scales and positions included",
     "no stage says how many bits its matrices take", false, NAN},
    {"Zeros by layer", "share of zeros", "Share of weights that are zero", "no stage says how many weights are zero",
     true, NAN},
};

// The bars of one panel: rows by name, in the order in which they come.
struct bars {
  const char **names;
  size_t count;
};

static size_t row_of(struct arena *arena, struct bars *bars, const struct plot_layer *layer, bool by_block) {
  const char *name = by_block ? arena_format(arena, "block %d", layer->block)
                              : arena_format(arena, "%d %s", layer->block, layer->matrix);
  for (size_t i = 0; i < bars->count; i++)
    if (strcmp(bars->names[i], name) == 0) return i;
  bars->names = arena_grow(arena, bars->names, bars->count, bars->count + 1, sizeof *bars->names);
  bars->names[bars->count] = name;
  return bars->count++;
}

// Sums of one bar: the mean over matrices, and the least and the most of any run.
struct bar {
  double sum, least, most;
  size_t matrices, runs;
};

static void add_to_bar(struct bar *bar, const struct plot_layer *layer, enum plot_layer_number number, double scale) {
  double mean = scale * layer->numbers[number].mean;
  if (!isfinite(mean)) return;
  bar->sum += mean;
  bar->least =
      bar->matrices ? fmin(bar->least, scale * layer->numbers[number].least) : scale * layer->numbers[number].least;
  bar->most =
      bar->matrices ? fmax(bar->most, scale * layer->numbers[number].most) : scale * layer->numbers[number].most;
  bar->runs = layer->numbers[number].count > bar->runs ? layer->numbers[number].count : bar->runs;
  bar->matrices++;
}

static bool is_known(const struct plot_data *data, const char *group, enum plot_layer_number number) {
  for (size_t i = 0; i < data->layer_count; i++)
    if (strcmp(data->layers[i].group, group) == 0 && isfinite(data->layers[i].numbers[number].mean)) return true;
  return false;
}

static void put_group(struct drawing *drawing, const struct plot_data *data, const char *group,
                      enum plot_layer_number number, struct bars *rows, bool by_block, double *most, size_t *runs) {
  struct arena *arena = drawing->arena;
  struct bar *bars = arena_array(arena, rows->count, sizeof *bars);
  double scale = quantities[number].percent ? 100 : 1;
  for (size_t i = 0; i < data->layer_count; i++)
    if (strcmp(data->layers[i].group, group) == 0)
      add_to_bar(&bars[row_of(arena, rows, &data->layers[i], by_block)], &data->layers[i], number, scale);
  for (size_t i = 0; i < rows->count; i++) {
    if (!bars[i].matrices) continue;
    struct figure_series *bar = drawing_series(drawing, MARK_BARS, 1);
    double mean = bars[i].sum / (double)bars[i].matrices;
    series_point(bar, mean, (double)i);
    bar->colour = (struct figure_colour){PALETTE_CATEGORY, 0, 0};
    *most = fmax(*most, bars[i].most);
    *runs = bars[i].runs > *runs ? bars[i].runs : *runs;
    if (!(bars[i].most - bars[i].least > 0.01 * bars[i].most)) continue;  // no line that could be seen
    double *ends = arena_array(arena, 2, sizeof *ends);
    ends[0] = bars[i].least;
    ends[1] = bars[i].most;
    bar->low = &ends[0];
    bar->high = &ends[1];
  }
}

// The groups that have the number, in their order.
static const char **groups_of(struct arena *arena, const struct plot_data *data, enum plot_layer_number number,
                              size_t *count) {
  const char **groups = arena_array(arena, data->layer_count + 1, sizeof *groups);
  *count = 0;
  for (size_t i = 0; i < data->layer_count; i++) {
    const char *group = data->layers[i].group;
    bool known = false;
    for (size_t g = 0; g < *count; g++) known |= strcmp(groups[g], group) == 0;
    if (!known && is_known(data, group, number)) groups[(*count)++] = group;
  }
  return groups;
}

static bool plot_layers(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing,
                        enum plot_layer_number number) {
  const struct quantity *quantity = &quantities[number];
  size_t count = 0, runs = 0;
  const char **groups = groups_of(arena, data, number, &count);
  if (count == 0) {
    *nothing = data->layer_count ? quantity->lacking : "no stage worked on matrices";
    return false;
  }
  bool zeros = number == LAYER_SPARSITY;
  for (size_t i = 0; i < data->layer_count && zeros; i++) zeros = !(data->layers[i].numbers[number].most > 0);
  if (zeros) {
    *nothing = "no stage left weights that are zero";
    return false;
  }
  struct bars rows = {0};
  double most = 0;
  for (size_t i = 0; i < data->layer_count; i++) row_of(arena, &rows, &data->layers[i], false);
  bool by_block = rows.count > MOST_ROWS;
  if (by_block) {
    rows = (struct bars){0};
    for (size_t i = 0; i < data->layer_count; i++) row_of(arena, &rows, &data->layers[i], true);
  }
  struct drawing drawing = {.arena = arena, .figure = figure};
  for (size_t g = 0; g < count; g++) {
    drawing_panel(&drawing, count > 1 ? groups[g] : NULL);
    put_group(&drawing, data, groups[g], number, &rows, by_block, &most, &runs);
    if (isnan(quantity->line)) continue;
    struct figure_series *line = drawing_series(&drawing, MARK_LINE, 2);
    line->colour = (struct figure_colour){.palette = PALETTE_INK};
    line->dashed = line->thin = true;
    series_point(line, quantity->line, -0.5);
    series_point(line, quantity->line, (double)rows.count - 0.5);
  }
  drawing_end(&drawing);
  figure->x = figure_axis(quantity->axis, quantity->percent ? "%" : "", SCALE_LINEAR, TICKS_PLAIN);
  figure->x.low = 0;
  figure->x.high = 1.06 * (isnan(quantity->line) ? most : fmax(most, quantity->line));
  if (quantity->percent && most > 50) figure->x.high = 100;
  if (!(figure->x.high > 0)) figure->x.high = 1;
  figure->y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_NAMES);
  figure->y.names = rows.names;
  figure->y.name_count = rows.count;
  figure->title = quantity->title;
  figure->caption = arena_format(
      arena, "%s, by block%s.%s%s", quantity->words, by_block ? ", over its matrices" : " and matrix",
      runs > 1 || by_block
          ? arena_format(arena,
                         " Bars: means over up to %zu run%s%s; lines: from the least to the most, where these differ.",
                         runs, runs == 1 ? "" : "s",
                         data->layer_words ? arena_format(arena, ", which differ in %s", data->layer_words) : "")
          : "",
      isnan(quantity->line) ? ""
                            : " Where rounding errors spread evenly over a step it is a third of the bound (dashed).");
  return true;
}

bool plot_layer_errors(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  return plot_layers(arena, data, figure, nothing, LAYER_ERROR);
}
bool plot_layer_bits(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  return plot_layers(arena, data, figure, nothing, LAYER_BITS);
}
bool plot_layer_sparsity(struct arena *arena, const struct plot_data *data, struct figure *figure,
                         const char **nothing) {
  return plot_layers(arena, data, figure, nothing, LAYER_SPARSITY);
}
