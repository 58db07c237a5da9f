// Whether what a composed format is worth is the product of what its parts are worth.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum { MOST_PARTS = 4 };

static const struct plot_effective *factor_of(const struct plot_fit *fit, const char *name) {
  for (size_t i = 0; i < fit->effective_count; i++)
    if (strcmp(fit->effective[i].format, name) == 0) return &fit->effective[i];
  return NULL;
}

// The parts of a format by its name: "2:4+int4" are 2:4 and int4, "w4a8" are w4 (or w4a16) and a8 (or w16a8). Returns
// how many of them have factors when all have, else 0.
static size_t parts_of(struct arena *arena, const struct plot_fit *fit, const char *name,
                       const struct plot_effective *parts[MOST_PARTS]) {
  size_t count = 0;
  if (strchr(name, '+')) {
    const char **words = text_split(arena, name, "+", &count);
    if (count > MOST_PARTS) return 0;
    for (size_t i = 0; i < count; i++)
      if (!(parts[i] = factor_of(fit, words[i]))) return 0;
    return count;
  }
  char *end;
  if (name[0] != 'w' || !isdigit((unsigned char)name[1])) return 0;
  long weights = strtol(name + 1, &end, 10);
  if (*end != 'a' || !isdigit((unsigned char)end[1])) return 0;
  long activations = strtol(end + 1, &end, 10);
  if (*end || weights >= 16 || activations >= 16) return 0;
  parts[0] = factor_of(fit, arena_format(arena, "w%ld", weights));
  if (!parts[0]) parts[0] = factor_of(fit, arena_format(arena, "w%lda16", weights));
  parts[1] = factor_of(fit, arena_format(arena, "a%ld", activations));
  if (!parts[1]) parts[1] = factor_of(fit, arena_format(arena, "w16a%ld", activations));
  return parts[0] && parts[1] ? 2 : 0;
}

bool plot_product_rule(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  struct drawing drawing = {.arena = arena, .figure = figure};
  double least = INFINITY, most = 0;
  size_t count = 0, held = 0, judged = 0;
  drawing_panel(&drawing, NULL);
  for (size_t i = 0; fit && i < fit->effective_count; i++) {
    const struct plot_effective *whole = &fit->effective[i], *parts[MOST_PARTS];
    size_t n = parts_of(arena, fit, whole->format, parts);
    if (!n || !(whole->value > 0)) continue;
    double product = 1;
    for (size_t k = 0; k < n; k++) product *= parts[k]->value;
    struct figure_series *point = drawing_series(&drawing, MARK_POINTS, 1);
    struct look look = format_look(whole->format);
    series_point(point, product, whole->value);
    point->colour = look.colour;
    point->shape = look.shape;
    point->label = whole->format;
    if (isfinite(whole->low) && isfinite(whole->high)) {
      point->low = &whole->low;
      point->high = &whole->high;
      judged++;
      held += whole->low <= product && product <= whole->high;
    }
    least = fmin(least, fmin(product, isfinite(whole->low) && whole->low > 0 ? whole->low : whole->value));
    most = fmax(most, fmax(product, isfinite(whole->high) ? whole->high : whole->value));
    count++;
  }
  if (count == 0) {
    *nothing = !fit                    ? "there is no fit"
               : !fit->effective_count ? "the fitted law has no effective parameters"
                                       : "no format is composed of others that have factors too";
    return false;
  }
  struct figure_series *line = drawing_series(&drawing, MARK_LINE, 2);
  line->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  line->dashed = line->thin = true;
  series_point(line, 0.9 * least, 0.9 * least);
  series_point(line, 1.1 * most, 1.1 * most);
  drawing_end(&drawing);
  figure->legend = "format";
  figure->x = figure_axis("product of the parts' factors", "", SCALE_LOG, TICKS_PLAIN);
  figure->y = figure_axis("factor of the composed format", "", SCALE_LOG, TICKS_PLAIN);
  figure->x.low = figure->y.low = 0.9 * least;
  figure->x.high = figure->y.high = 1.1 * most;
  figure->title = "Product rule of compositions";
  figure->caption =
      arena_format(arena,
                   "What a composed format is worth against the product of what its parts are worth, %zu "
                   "format%s; on the line the product rule is exact%s.",
                   count, count == 1 ? "" : "s",
                   judged ? arena_format(arena, ", and %zu of %zu intervals hold the product", held, judged) : "");
  return true;
}
