// Scalar grids known by name. See codebook.h.
#include "kernels/formats/codebook.h"

#include <string.h>

// NF4 (Dettmers et al. 2023, QLoRA, arXiv 2305.14314, appendix E): quantiles of N(0, 1), eight above 0 and seven below,
// with 0 itself, over the outermost one.
static const double nf4[16] = {-1.0,
                               -0.6961928009986877,
                               -0.5250730514526367,
                               -0.39491748809814453,
                               -0.28444138169288635,
                               -0.18477343022823334,
                               -0.09105003625154495,
                               0.0,
                               0.07958029955625534,
                               0.16093020141124725,
                               0.24611230194568634,
                               0.33791524171829224,
                               0.44070982933044434,
                               0.5626170039176941,
                               0.7229568362236023,
                               1.0};
static const double gaussian_2[2] = {-0.7978845608028654, 0.7978845608028654};
static const double gaussian_4[4] = {-1.510417608499096, -0.4527800346364921, 0.4527800346364921, 1.510417608499096};
static const double gaussian_8[8] = {-2.1519457045369847, -1.3439092785049997, -0.7560052812058766, -0.2450941789442217,
                                     0.2450941789442217,  0.7560052812058766,  1.3439092785049997,  2.1519457045369847};
static const double gaussian_16[16] = {
    -2.732589570995159,  -2.0690172265313826, -1.6180463860218797, -1.2562311973471756,
    -0.9423404564869614, -0.6567591185324634, -0.3880482994902903, -0.12839502985114712,
    0.12839502985114712, 0.3880482994902903,  0.6567591185324634,  0.9423404564869614,
    1.2562311973471756,  1.6180463860218797,  2.0690172265313826,  2.732589570995159};

const struct codebook codebooks[] = {{"nf4", 16, nf4, 64},           {"vq1-2", 2, gaussian_2, 0},
                                     {"vq1-4", 4, gaussian_4, 0},    {"vq1-8", 8, gaussian_8, 0},
                                     {"vq1-16", 16, gaussian_16, 0}, {0}};

const struct codebook *codebook_find(const char *name) {
  for (const struct codebook *book = codebooks; book->name; book++)
    if (strcmp(book->name, name) == 0) return book;
  return NULL;
}

const struct codebook *codebook_of_grid(const struct grid *grid) {
  for (const struct codebook *book = codebooks; grid->kind == GRID_LEVELS && book->name; book++)
    if (book->count == grid->count && memcmp(book->levels, grid->levels, (size_t)grid->count * sizeof(double)) == 0)
      return book;
  return NULL;
}

const double *gaussian_levels(int count) {
  for (const struct codebook *book = codebooks; book->name; book++)
    if (book->count == count && book->group == 0) return book->levels;
  return NULL;
}
