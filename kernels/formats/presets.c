// Recipes with names. Their texts are the definition; docs/formats.md explains them.
#include "kernels/formats/format.h"

const struct format_preset format_presets[] = {
    {"quest-mxfp4", "w(quest-mxfp4)a(quest-mxfp4)",
     "weights and activations in MXFP4: Hadamard blocks of 32, scale from the root mean square with its exponent "
     "rounded, "
     "gradients where nothing was clipped",
     "Quartet 2505.14669"},
    {"quartet",
     "w(quest-mxfp4)a(quest-mxfp4)g(mxfp4[absmax(1.3333333333333333),random-hadamard-up-to(32)])[requantize]",
     "QuEST-MXFP4 forward; backward products in MXFP4 to nearest, after a Hadamard transform with random signs",
     "Quartet 2505.14669"},
    {"quartet-sr",
     "w(quest-mxfp4)a(quest-mxfp4)g(mxfp4[absmax(1.3333333333333333),stochastic,random-hadamard-up-to(32)])["
     "requantize]",
     "as quartet, with stochastic rounding in the backward products", "Quartet 2505.14669"},
    {"halo0-int8",
     "w(int8-tread[absmax,tensor,no-hadamard,ste])a(int8-tread[absmax,tensor,no-hadamard,ste])"
     "g(int8-tread[absmax,tensor,no-hadamard,ste])[original]",
     "every product in INT8 with one scale a tensor, no transforms", "HALO 2501.02625"},
    {"halo1-int8",
     "w(int8-tread[absmax,tensor,hadamard-up-to(256),ste])a(int8-tread[absmax,tensor,hadamard-up-to(256),ste])"
     "g(int8-tread[absmax,tensor,no-hadamard,ste])[original]",
     "as level 0, with a Hadamard transform in the forward product", "HALO 2501.02625"},
    {"halo2-int8",
     "w(int8-tread[absmax,tensor,hadamard-up-to(256),ste])a(int8-tread[absmax,tensor,hadamard-up-to(256),ste])"
     "g(int8-tread[absmax,tensor,no-hadamard,ste])[original,token-hadamard]",
     "as level 1, and d_x from gradients transformed over tokens", "HALO 2501.02625"},
    {"halo0-int6",
     "w(int6-tread[absmax,tensor,no-hadamard,ste])a(int6-tread[absmax,tensor,no-hadamard,ste])"
     "g(int6-tread[absmax,tensor,no-hadamard,ste])[original]",
     "HALO level 0 in 6 bits", "HALO 2501.02625"},
    {"halo1-int6",
     "w(int6-tread[absmax,tensor,hadamard-up-to(256),ste])a(int6-tread[absmax,tensor,hadamard-up-to(256),ste])"
     "g(int6-tread[absmax,tensor,no-hadamard,ste])[original]",
     "HALO level 1 in 6 bits", "HALO 2501.02625"},
    {"halo2-int6",
     "w(int6-tread[absmax,tensor,hadamard-up-to(256),ste])a(int6-tread[absmax,tensor,hadamard-up-to(256),ste])"
     "g(int6-tread[absmax,tensor,no-hadamard,ste])[original,token-hadamard]",
     "HALO level 2 in 6 bits", "HALO 2501.02625"},
    {"halo0-fp8",
     "w(fp8-e4m3[absmax,tensor,no-hadamard,ste])a(fp8-e4m3[absmax,tensor,no-hadamard,ste])"
     "g(fp8-e4m3[absmax,tensor,no-hadamard,ste])[original]",
     "HALO level 0 in FP8 E4M3", "HALO 2501.02625"},
    {"halo1-fp8",
     "w(fp8-e4m3[absmax,tensor,hadamard-up-to(256),ste])a(fp8-e4m3[absmax,tensor,hadamard-up-to(256),ste])"
     "g(fp8-e4m3[absmax,tensor,no-hadamard,ste])[original]",
     "HALO level 1 in FP8 E4M3", "HALO 2501.02625"},
    {"halo2-fp8",
     "w(fp8-e4m3[absmax,tensor,hadamard-up-to(256),ste])a(fp8-e4m3[absmax,tensor,hadamard-up-to(256),ste])"
     "g(fp8-e4m3[absmax,tensor,no-hadamard,ste])[original,token-hadamard]",
     "HALO level 2 in FP8 E4M3", "HALO 2501.02625"},
    {"fp8-mixed",
     "w(fp8-e4m3[absmax,tensor,no-hadamard,ste])a(fp8-e4m3[absmax,tensor,no-hadamard,ste])"
     "g(fp8-e5m2[absmax,tensor,no-hadamard,ste])",
     "FP8 training: E4M3 forward, E5M2 for gradients, one scale a tensor from its largest magnitude",
     "LLMQ 2512.15306"},
    {0}};
