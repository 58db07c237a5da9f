// Colours: Okabe and Ito's palette for categories (without its yellow, which white paper swallows, and its black, which
// is ink) and sixteen steps of viridis for ordered series, cut before it gets too light for the page it is on.
#include <string.h>

#include "plots/internal.h"

const struct ink ink_text = {"ink", "#1f2328", "#e6e8eb"}, ink_muted = {"muted", "#59636e", "#a3abb5"},
                 ink_grid = {"grid", "#e4e7eb", "#33383f"}, ink_paper = {"paper", "#ffffff", "#16191d"};

static const struct ink category[CATEGORY_COLOURS] = {
    {"c1", "#0072b2", "#4aa3dd"}, {"c2", "#d55e00", "#f0803c"}, {"c3", "#009e73", "#2fc096"},
    {"c4", "#cc79a7", "#e39fc6"}, {"c5", "#e69f00", "#f2b53d"}, {"c6", "#56b4e9", "#8ccff5"},
    {"c7", "#7a5c3e", "#b8997a"}, {"c8", "#757b82", "#9aa1a9"},
};
static const struct ink ordered[ORDERED_STEPS] = {
    {"o1", "#440154", "#3b528b"},  {"o2", "#471365", "#355f8d"},  {"o3", "#482475", "#2f6c8e"},
    {"o4", "#463480", "#2a788e"},  {"o5", "#414487", "#25848e"},  {"o6", "#3b528b", "#21918c"},
    {"o7", "#355f8d", "#1e9c89"},  {"o8", "#2f6c8e", "#22a884"},  {"o9", "#2a788e", "#2fb47c"},
    {"o10", "#25848e", "#44bf70"}, {"o11", "#21918c", "#5ec962"}, {"o12", "#1e9c89", "#7ad151"},
    {"o13", "#22a884", "#9bd93c"}, {"o14", "#2fb47c", "#bddf26"}, {"o15", "#44bf70", "#dfe318"},
    {"o16", "#5ec962", "#fde725"},
};

const struct ink *ink_of(struct figure_colour colour) {
  switch (colour.palette) {
    case PALETTE_CATEGORY:
      return &category[colour.index < 0 ? 0 : colour.index % CATEGORY_COLOURS];
    case PALETTE_ORDERED: {
      int last = colour.count - 1, step = last > 0 ? (colour.index * (ORDERED_STEPS - 1) + last / 2) / last : 5;
      return &ordered[step < 0 ? 0 : step >= ORDERED_STEPS ? ORDERED_STEPS - 1 : step];
    }
    case PALETTE_INK:
      return &ink_text;
    case PALETTE_MUTED:
      return &ink_muted;
  }
  return &ink_text;
}

static const struct ink *const single[] = {&ink_text, &ink_muted, &ink_grid, &ink_paper};

const struct ink *ink_by_light(const char *hex) {
  for (size_t i = 0; i < sizeof single / sizeof *single; i++)
    if (strcmp(single[i]->light, hex) == 0) return single[i];
  for (int i = 0; i < CATEGORY_COLOURS; i++)
    if (strcmp(category[i].light, hex) == 0) return &category[i];
  for (int i = 0; i < ORDERED_STEPS; i++)
    if (strcmp(ordered[i].light, hex) == 0) return &ordered[i];
  return NULL;
}

static void variables(struct text *out, bool dark) {
  for (size_t i = 0; i < sizeof single / sizeof *single; i++)
    text_format(out, "--figure-%s:%s;", single[i]->name, dark ? single[i]->dark : single[i]->light);
  for (int i = 0; i < CATEGORY_COLOURS; i++)
    text_format(out, "--figure-%s:%s;", category[i].name, dark ? category[i].dark : category[i].light);
  for (int i = 0; i < ORDERED_STEPS; i++)
    text_format(out, "--figure-%s:%s;", ordered[i].name, dark ? ordered[i].dark : ordered[i].light);
}

void figure_css(struct text *out) {
  text_add(out, ":root{");
  variables(out, false);
  text_add(out, "}\n@media screen and (prefers-color-scheme:dark){:root{");
  variables(out, true);
  text_add(out, "}}\n");
}
