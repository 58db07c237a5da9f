// Names of formats with many options, shortened where a figure shows them: sparse(0.75,journey(0.25,0.75),every(10)) is
// "sparse(0.75,...)" next to sparse(0.9,...).
#include <string.h>

#include "plots/internal.h"

enum { LONG = 26, MOST_NAMES = 64 };

struct names {
  const char *full[MOST_NAMES], *brief[MOST_NAMES];
  size_t count;
};

static void collect(struct names *names, const char *name) {
  if (!name || strlen(name) <= LONG || !strchr(name, '(') || !strchr(name, ',')) return;
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->full[i], name) == 0) return;
  if (names->count < MOST_NAMES) names->full[names->count++] = name;
}

static const char *brief_of(const struct names *names, const char *name) {
  for (size_t i = 0; name && i < names->count; i++)
    if (strcmp(names->full[i], name) == 0) return names->brief[i];
  return name;
}

// The name up to its comma between options of that number (from 1); the whole of it where there are fewer.
static const char *cut(struct arena *arena, const char *name, int commas) {
  int depth = 0;
  for (const char *c = name; *c; c++) {
    depth += (*c == '(') - (*c == ')');
    if (*c == ',' && depth == 1 && --commas == 0) return arena_format(arena, "%.*s,...)", (int)(c - name), name);
  }
  return name;
}

// Cuts all names at the first comma that leaves them different.
static void shorten(struct arena *arena, struct names *names) {
  for (int commas = 1;; commas++) {
    bool apart = true, whole = true;
    for (size_t i = 0; i < names->count; i++) {
      names->brief[i] = cut(arena, names->full[i], commas);
      whole &= names->brief[i] == names->full[i];
      for (size_t k = 0; k < i; k++) apart &= strcmp(names->brief[i], names->brief[k]) != 0;
    }
    if (apart || whole) return;
  }
}

void figure_shorten_names(struct figure *figure, struct arena *arena) {
  struct names names = {0};
  for (size_t p = 0; p < figure->panel_count; p++) {
    collect(&names, figure->panels[p].title);
    for (size_t s = 0; s < figure->panels[p].count; s++) collect(&names, figure->panels[p].series[s].label);
  }
  for (size_t i = 0; i < figure->y.name_count; i++) collect(&names, figure->y.names[i]);
  if (!names.count) return;
  shorten(arena, &names);
  for (size_t p = 0; p < figure->panel_count; p++) {
    struct figure_panel *panel = (struct figure_panel *)&figure->panels[p];
    panel->title = brief_of(&names, panel->title);
    for (size_t s = 0; s < panel->count; s++) {
      struct figure_series *series = (struct figure_series *)&panel->series[s];
      series->label = brief_of(&names, series->label);
    }
  }
  const char **rows = arena_array(arena, figure->y.name_count + 1, sizeof *rows);
  for (size_t i = 0; i < figure->y.name_count; i++) rows[i] = brief_of(&names, figure->y.names[i]);
  if (figure->y.name_count) figure->y.names = rows;
}
