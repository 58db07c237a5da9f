// Signs that TeX reads otherwise, or that its fonts may lack.
#include <string.h>

#include "plots/plots.h"

size_t tex_sign(const char *text, const char **tex) {
  static const struct {
    const char *sign, *tex;
  } signs[] = {{"\\", "\\textbackslash{}"},
               {"{", "\\{"},
               {"}", "\\}"},
               {"$", "\\$"},
               {"&", "\\&"},
               {"#", "\\#"},
               {"%", "\\%"},
               {"_", "\\_"},
               {"~", "\\textasciitilde{}"},
               {"−", "$-$"},
               {"×", "$\\times$"},
               {"≈", "$\\approx$"},
               {"±", "$\\pm$"},
               {"–", "--"}};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (starts_with(text, signs[i].sign)) {
      *tex = signs[i].tex;
      return strlen(signs[i].sign);
    }
  return 0;
}
