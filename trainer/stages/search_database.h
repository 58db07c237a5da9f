// Every module of a search at every level: made once for a parent and what makes the levels, and kept beside the
// parent's checkpoint (kept.h) for all searches that use the same, whatever their budget and method.
#pragma once
#include "trainer/stages/search_space.h"
#include "trainer/stages/work.h"

// What a level is, and what it does to its module. NAN: not known.
struct module_level {
  double error;           // t^2 of the weights; where heads or columns are taken out, of the outputs
  double counted;         // the same as what alpha is multiplied with (allocation_error)
  double output_error;    // of the module's outputs on calibration tokens, relative
  double weighted_error;  // tr(D H' D^T)
  double bound;
  double bits;      // stored, a weight
  double sparsity;  // share of zeroes
};

struct search_database {
  const struct layer_space *space;
  void *memory;
  struct module_level *levels;  // by module and level
  float *values;                // the same, each the module's pieces one behind the other
  int64_t *first_level;         // [modules]
  int64_t *first_value;         // [modules]
};

// Makes or reads it, from the parent's values. False with an error, or with work->stopped; database_free in either
// case.
bool database_open(struct stage_work *work, const struct layer_space *space, const struct model_values *values,
                   struct search_database *database, struct error *error);
void database_free(struct search_database *database);

struct module_level *database_level(const struct search_database *database, int module, int level);
float *database_values(const struct search_database *database, int module, int level);  // [module.count]
// Where a piece stands in the parameters.
int64_t module_piece_offset(const struct model_values *values, const struct search_module *module, int piece);
// Puts the module at a level into values of the same shape as the parent's.
void database_put(const struct search_database *database, int module, int level, struct model_values *values);
