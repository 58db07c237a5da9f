// Draws every named figure of three made-up experiments into a folder, to be looked at: draw FOLDER.
#include <stdio.h>

#include "tests/plots/fixture.h"

static int draw(const char *folder, const char *name, const struct plot_data *data) {
  int failures = 0;
  for (const struct plot_kind *kind = plot_kinds; kind->name; kind++) {
    struct arena arena = {0};
    struct figure figure;
    const char *nothing = NULL;
    struct error error = {0};
    if (!plot_build(&arena, kind->name, data, &figure, &nothing)) {
      printf("%s %s: %s\n", name, kind->name, nothing);
    } else {
      figure.name = arena_format(&arena, "%s-%s", name, kind->name);
      if (!figure_write(&figure, folder, &error)) {
        fprintf(stderr, "%s\n", error.text);
        failures++;
      }
    }
    arena_free(&arena);
  }
  return failures;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: draw FOLDER\n");
    return 2;
  }
  static const double sizes[] = {49408, 98560, 196864, 393472, 786688}, ratios[] = {10, 20, 40, 80},
                      budgets[] = {2e6, 8e6, 32e6}, rates[] = {2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3};
  static const char *const formats[] = {"none", "w4", "w4a4", "w2a2"};
  struct arena arena = {0};
  struct plot_data by_ratio = made_data(
      &arena,
      &(struct made_design){.sizes = sizes, .size_count = 4, .budgets = ratios, .budget_count = 4, .ratios = true},
      true);
  struct plot_data by_tokens =
      made_data(&arena,
                &(struct made_design){
                    .sizes = sizes, .size_count = 5, .budgets = budgets, .budget_count = 3, .hold_out_above = 7e5},
                true);
  by_tokens.irreducible_loss = 0.9;
  struct plot_data by_format = made_data(&arena,
                                         &(struct made_design){.sizes = sizes,
                                                               .size_count = 4,
                                                               .budgets = ratios,
                                                               .budget_count = 3,
                                                               .ratios = true,
                                                               .formats = formats,
                                                               .format_count = 4},
                                         true);
  struct plot_data by_rate = made_data(&arena,
                                       &(struct made_design){.sizes = sizes,
                                                             .size_count = 3,
                                                             .budgets = ratios,
                                                             .budget_count = 2,
                                                             .ratios = true,
                                                             .rates = rates,
                                                             .rate_count = 5},
                                       true);
  int failures = draw(argv[1], "ratio", &by_ratio) + draw(argv[1], "tokens", &by_tokens) +
                 draw(argv[1], "format", &by_format) + draw(argv[1], "rate", &by_rate);
  arena_free(&arena);
  return failures ? 1 : 0;
}
