// Recipes with names. Their texts are the definition; docs/formats.md explains them.
#include "kernels/formats/parse.h"

const struct format_preset format_presets[] = {
    {"quest-mxfp4", "w(quest-mxfp4)a(quest-mxfp4)",
     "weights and activations in MXFP4: Hadamard blocks of 32, scale from the root mean square with its exponent "
     "rounded, "
     "gradients where nothing was clipped",
     "Quartet 2505.14669"},
    {"quartet",
     "w(quest-mxfp4)a(quest-mxfp4)g(mxfp4[absmax(1.3333333333333333),stochastic,random-hadamard-up-to(32)])["
     "requantize]",
     "QuEST-MXFP4 forward; backward products in MXFP4 with stochastic rounding, after a Hadamard transform with random "
     "signs",
     "Quartet 2505.14669, main_setup.sh"},
    {"quartet-rtn",
     "w(quest-mxfp4)a(quest-mxfp4)g(mxfp4[absmax(1.3333333333333333),random-hadamard-up-to(32)])[requantize]",
     "as quartet, with rounding to nearest in the backward products: its ablation", "Quartet 2505.14669"},
    {"quartet-code",
     "w(quest-mxfp4[power-floor])a(quest-mxfp4[power-floor])g(mxfp4[absmax(1.3333333333333333),stochastic,"
     "random-hadamard-up-to(32)])[requantize]",
     "as quartet, with the forward scale's exponent rounded down, as the published kernel does", "Quartet 2505.14669"},
    {"quartet2",
     "w(nvfp4[four-over-six])a(nvfp4[four-over-six])g(nvfp4[absmax(0.988125),scale-max(255.99),eden,"
     "random-hadamard-up-to(128)])[requantize]",
     "NVFP4 with four over six forward; all operands of the backward products by MS-EDEN, unbiased, after a Hadamard "
     "transform with random signs",
     "Quartet II 2601.22813"},
    {"tetrajet2",
     "w(nvfp4)a(nvfp4)g(nvfp4[absmax(1.0625),scale-max(448),stochastic,random-hadamard-up-to(32)])[requantize]",
     "NVFP4 forward; all operands of the backward products with stochastic rounding, after a Hadamard transform with "
     "random signs",
     "TetraJet-v2 as in Quartet II 2601.22813"},
    {"nvidia-nvfp4",
     "w(nvfp4[square(16)])a(nvfp4)g(nvfp4[stochastic,signed-hadamard-up-to(16)])[tokens,high-precision(0.16)]",
     "NVFP4 with weights in blocks of 16 by 16; gradients with stochastic rounding; both operands of d_W after a Hadamard "
     "transform with fixed signs; 16 % of the blocks in full precision",
     "NVIDIA 2509.25149, TransformerEngine"},
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

const struct format_alias format_aliases[] = {{"quartet-sr", "quartet"}, {0}};
