// The model that a search left smaller (trainer/stages/search.h), as one of smaller shape. While isoloss trains and
// evaluates it, rows and columns of what is gone are 0; here they are left out.
#pragma once
#include "trainer/model.h"

// Whether the model's blocks leave anything out, and a model of the shape that is left: key and value heads with their
// query heads, and columns of MLPs, as many for all blocks as the one has that has most, since Hugging Face's layout
// has one number for all. *smaller gets it, forward only, on the same device, or NULL where no number is smaller;
// *masked (may be NULL) how many weights of it are in heads and columns that are gone in their block, and 0. False on
// error.
bool model_smaller(struct model *model, struct model **smaller, int64_t *masked, struct error *error);
