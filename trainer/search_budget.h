// What a search over layers (trainer/stages/search.h) may spend, from a configuration alone: its space, which of its
// settings that reads, and what a search that takes heads, columns or halves of blocks out leaves of the model.
#pragma once
#include "trainer/config.h"

// What a level of a module is: bits a weight of a matrix, its share of weights that are not 0, whether a half of a
// block is there, or how many of its key and value heads, or of its MLP's columns.
enum search_space_kind { SEARCH_NOTHING, SEARCH_BITS, SEARCH_SPARSITY, SEARCH_DROP, SEARCH_STRUCTURE };

// Of search.method and search.space; SEARCH_NOTHING where there is no search.
enum search_space_kind search_space_of(const struct run_config *config);
bool search_removes(const struct run_config *config);  // SEARCH_DROP or SEARCH_STRUCTURE: the model is a smaller one

// Of a search that removes: the levels above 0 of a block's attention and MLP, and the units of all blocks together
// that stay: search.keep of them, rounded.
struct search_units {
  int64_t attention_levels, mlp_levels;
  int64_t attention, mlp;
};
struct search_units search_units(const struct run_config *config);
// The parameters that the model has: config_parameters, less those of heads, columns and halves of blocks that a search
// took out. Norms stay, also before a half that is gone.
struct parameter_counts config_kept_parameters(const struct run_config *resolved);

// Whether a search with these settings reads a field: what does not count is an error where it is given.
bool search_reads_bits(const struct run_config *config);
bool search_reads_sparsity(const struct run_config *config);
bool search_reads_keep(const struct run_config *config);
bool search_reads_columns(const struct run_config *config);
bool search_reads_matrices(const struct run_config *config);  // matrices are compressed, each by itself
bool search_reads_damping(const struct run_config *config);
bool search_reads_generations(const struct run_config *config);
bool search_reads_worth(const struct run_config *config);  // something is evaluated
bool search_reads_top(const struct run_config *config);
bool search_reads_finetune(const struct run_config *config);
bool search_reads_finetune_lr(const struct run_config *config);
bool search_reads_noise(const struct run_config *config);
bool search_reads_choices(const struct run_config *config);
