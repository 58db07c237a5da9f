-- From version 11: recipes of formats that were renamed (quartet is the published recipe, with stochastic
-- gradients; what it was is quartet-rtn). store_rename_formats does it, in order; ids stay.
UPDATE runs SET config = config WHERE 0;
