// Draws every named figure of made-up experiments into a folder, to be looked at: draw FOLDER as on a page, draw FOLDER
// INCHES POINTS pdf|svg|png|tikz for paper.
#include <stdio.h>

#include "tests/plots/fixture.h"

struct paper {
  const char *folder;
  struct figure_print print;  // width 0: a page
  enum figure_format format;
};

static bool put(const struct paper *paper, const struct figure *figure, struct error *error) {
  if (!paper->print.width) return figure_write(figure, paper->folder, error);
  struct arena arena = {0};
  struct text out = {0};
  const char *file = arena_format(&arena, "%s%s", figure->name, figure_format_end(paper->format));
  bool fine = folder_make(paper->folder, error) && figure_draw(figure, &paper->print, paper->format, &out, error) &&
              file_write_atomic(path_join(&arena, paper->folder, file), out.bytes, out.length, error);
  text_free(&out);
  arena_free(&arena);
  return fine;
}

static int draw(const struct paper *paper, const char *name, const struct plot_data *data) {
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
      if (!put(paper, &figure, &error)) {
        fprintf(stderr, "%s\n", error.text);
        failures++;
      }
    }
    arena_free(&arena);
  }
  return failures;
}

int main(int argc, char **argv) {
  double inches = 0, points = 0;
  struct paper paper = {.folder = argc > 1 ? argv[1] : NULL, .print = {.dots = 200}};
  if (argc == 5 && number_parse(argv[2], &inches) && number_parse(argv[3], &points)) {
    paper.print.width = inches;
    paper.print.text = points;
    while (figure_format_names[paper.format] && strcmp(figure_format_names[paper.format], argv[4]) != 0) paper.format++;
  }
  if (argc < 2 || (argc != 2 && !inches) || paper.format == FIGURE_FORMATS) {
    fprintf(stderr, "usage: draw FOLDER [INCHES POINTS pdf|svg|png|tikz]\n");
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
  int failures = draw(&paper, "ratio", &by_ratio) + draw(&paper, "tokens", &by_tokens) +
                 draw(&paper, "format", &by_format) + draw(&paper, "rate", &by_rate);
  arena_free(&arena);
  return failures ? 1 : 0;
}
