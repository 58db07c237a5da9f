// The public face of fitting/: tables of observations, laws as data, fits with their uncertainty, predictions. A header
// each; those named _internal are for fitting's own files.
//
//   struct table table; struct law law; struct fit_result result;
//   fitting_start()                                         once in a program
//   table_read_csv(&table, "runs.csv", NULL, 0, &error)     or table_init, table_add_number, table_add_category ...
//   law_load(&law, "chinchilla", &diagnostics, &error)      a law that ships, or the path of a .yaml file
//   fit_run(&law, &table, &(struct fit_options){.bootstrap = -1}, &result, &error)
//   fit_result_json(&result, &writer)                       the document of the contract for scripts
//   fit_result_read(&result, document, &error)              and back
//
// fitting/ knows nothing of training or of the store: whoever has runs fills a table. Each of the three structs owns an
// arena and is released by its own _free; a result points into neither the table nor the law.
#pragma once
#include "fitting/compare.h"
#include "fitting/curves.h"
#include "fitting/design.h"
#include "fitting/design_next.h"
#include "fitting/export.h"
#include "fitting/fit.h"
#include "fitting/isoflop.h"
#include "fitting/law.h"
#include "fitting/predict.h"
#include "fitting/range.h"
#include "fitting/rollout.h"
#include "fitting/sentences.h"
#include "fitting/table.h"

// Once, before anything else here, from whatever has a main: what fails in GSL comes back as a value from then on
// instead of ending the program.
void fitting_start(void);
