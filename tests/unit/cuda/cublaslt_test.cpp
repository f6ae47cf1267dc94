// What cuBLASLt is told, by a library that writes it down. Needs CUDA's headers and no GPU.
#include "runtime/backends/cuda/cublaslt.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

struct Layout {
  cudaDataType_t type;
  uint64_t rows, cols;
  int64_t stride;
  bool operator==(const Layout&) const = default;
};
using Attributes = std::map<int, std::vector<uint8_t>>;

// What there is and what was asked for; one library at a time.
struct Fake {
  size_t version = 130102;
  cublasStatus_t create = CUBLAS_STATUS_SUCCESS, heuristic = CUBLAS_STATUS_SUCCESS;
  int algorithms = 3;
  cublasStatus_t matmul = CUBLAS_STATUS_SUCCESS;

  std::set<const void*> live;  // what was made and not freed
  std::map<const void*, Layout> layouts;
  std::map<const void*, Attributes> products, preferences;
  cublasComputeType_t compute{};
  cudaDataType_t scale{};
  int searches = 0;
  struct Call {
    float alpha, beta;
    const void *a, *b, *c;
    void* d;
    Layout a_layout, b_layout, c_layout, d_layout;
    Attributes product;
    uint64_t algorithm;
    void* workspace;
    size_t workspace_bytes;
    cudaStream_t stream;
  };
  std::vector<Call> calls;
};
Fake* fake = nullptr;

template <class Opaque>
cublasStatus_t make(Opaque** out) {
  *out = new Opaque{};
  fake->live.insert(*out);
  return CUBLAS_STATUS_SUCCESS;
}
template <class Opaque>
cublasStatus_t destroy(Opaque* descriptor) {
  EXPECT_EQ(fake->live.erase(descriptor), 1u);
  delete descriptor;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t keep(Attributes& attributes, int which, const void* value, size_t bytes) {
  const auto* begin = static_cast<const uint8_t*>(value);
  attributes[which].assign(begin, begin + bytes);
  return CUBLAS_STATUS_SUCCESS;
}
template <class Value>
Value valueOf(const Attributes& attributes, int which) {
  const auto found = attributes.find(which);
  EXPECT_NE(found, attributes.end()) << "attribute " << which;
  Value value{};
  if (found == attributes.end()) return value;
  EXPECT_EQ(found->second.size(), sizeof(Value));
  std::memcpy(static_cast<void*>(&value), found->second.data(), sizeof(Value));
  return value;
}

CublasLtFunctions functions() {
  CublasLtFunctions f;
  f.GetVersion = [] { return fake->version; };
  f.GetStatusName = [](cublasStatus_t status) {
    return status == CUBLAS_STATUS_EXECUTION_FAILED ? "EXECUTION_FAILED" : "OTHER";
  };
  f.Create = [](cublasLtHandle_t* handle) {
    *handle = reinterpret_cast<cublasLtHandle_t>(fake);
    if (fake->create == CUBLAS_STATUS_SUCCESS) fake->live.insert(fake);
    return fake->create;
  };
  f.Destroy = [](cublasLtHandle_t handle) {
    EXPECT_EQ(fake->live.erase(handle), 1u);
    return CUBLAS_STATUS_SUCCESS;
  };
  f.MatmulDescCreate = [](cublasLtMatmulDesc_t* out, cublasComputeType_t compute,
                          cudaDataType_t scale) {
    fake->compute = compute;
    fake->scale = scale;
    const cublasStatus_t status = make(out);
    fake->products[*out];
    return status;
  };
  f.MatmulDescDestroy = [](cublasLtMatmulDesc_t d) { return destroy(d); };
  f.MatmulDescSetAttribute = [](cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t which,
                                const void* value, size_t bytes) {
    return keep(fake->products.at(d), which, value, bytes);
  };
  f.MatrixLayoutCreate = [](cublasLtMatrixLayout_t* out, cudaDataType type, uint64_t rows,
                            uint64_t cols, int64_t stride) {
    const cublasStatus_t status = make(out);
    fake->layouts[*out] = {type, rows, cols, stride};
    return status;
  };
  f.MatrixLayoutDestroy = [](cublasLtMatrixLayout_t d) { return destroy(d); };
  f.MatmulPreferenceCreate = [](cublasLtMatmulPreference_t* out) {
    const cublasStatus_t status = make(out);
    fake->preferences[*out];
    return status;
  };
  f.MatmulPreferenceDestroy = [](cublasLtMatmulPreference_t d) { return destroy(d); };
  f.MatmulPreferenceSetAttribute = [](cublasLtMatmulPreference_t d,
                                      cublasLtMatmulPreferenceAttributes_t which, const void* value,
                                      size_t bytes) {
    return keep(fake->preferences.at(d), which, value, bytes);
  };
  f.MatmulAlgoGetHeuristic = [](cublasLtHandle_t handle, cublasLtMatmulDesc_t,
                                cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                cublasLtMatmulPreference_t, int most,
                                cublasLtMatmulHeuristicResult_t* results, int* count) {
    EXPECT_EQ(handle, reinterpret_cast<cublasLtHandle_t>(fake));
    ++fake->searches;
    *count = std::min(most, fake->algorithms);
    for (int i = 0; i < *count; ++i) {
      results[i] = {};
      results[i].algo.data[0] = static_cast<uint64_t>(i) + 100;
      // One of them cannot be used.
      results[i].state = i == 1 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
    }
    return fake->heuristic;
  };
  f.Matmul = [](cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha, const void* a,
                cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm,
                void* workspace, size_t workspace_bytes, cudaStream_t stream) {
    fake->calls.push_back({*static_cast<const float*>(alpha), *static_cast<const float*>(beta), a,
                           b, c, d, fake->layouts.at(a_layout), fake->layouts.at(b_layout),
                           fake->layouts.at(c_layout), fake->layouts.at(d_layout),
                           fake->products.at(product), algorithm->data[0], workspace,
                           workspace_bytes, stream});
    return fake->matmul;
  };
  return f;
}

// Where matrices would be; nothing is there.
alignas(256) std::byte memory[6 * 256];
std::byte* address(size_t at) { return memory + at; }

class CublasLtTest : public ::testing::Test {
 protected:
  CublasLtTest() {
    fake = &state;
    Result<std::unique_ptr<MatrixLibrary>> made = cublasLtProducts(functions());
    EXPECT_TRUE(made.ok());
    if (made.ok()) library = std::move(made).value();
  }
  ~CublasLtTest() override {
    library.reset();
    EXPECT_TRUE(state.live.empty()) << "descriptors were not freed";
    cudaGetLastError();  // of launches without a GPU
  }

  Fake state;
  std::unique_ptr<MatrixLibrary> library;
  Launch on{.stream = reinterpret_cast<cudaStream_t>(address(0x500))};
  Matrix a{address(0x000), DType::kBF16, 9, 64, 80};
  WeightView weight{address(0x140), DType::kBF16, 33, 64, 64};
  Matrix out{address(0x200), DType::kF32, 9, 33, 40};
  std::byte* const workspace = address(0x300);
};

TEST_F(CublasLtTest, Arguments) {
  const auto* bias = reinterpret_cast<const float*>(address(0x400));
  ASSERT_TRUE(library->multiply(on, a, weight, bias, out, workspace).ok());
  ASSERT_EQ(state.calls.size(), 1u);
  const Fake::Call& call = state.calls[0];
  // Row by row is column by column of the transposed: out' [33, 9] = weight [33, 64] a' [64, 9].
  EXPECT_EQ(call.a, weight.data);
  EXPECT_EQ(call.b, a.data);
  EXPECT_EQ(call.c, out.data);
  EXPECT_EQ(call.d, out.data);
  EXPECT_EQ(call.a_layout, (Layout{CUDA_R_16BF, 64, 33, 64}));
  EXPECT_EQ(call.b_layout, (Layout{CUDA_R_16BF, 64, 9, 80}));
  EXPECT_EQ(call.c_layout, (Layout{CUDA_R_32F, 33, 9, 40}));
  EXPECT_EQ(call.d_layout, call.c_layout);
  EXPECT_EQ(valueOf<cublasOperation_t>(call.product, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_T);
  EXPECT_EQ(call.product.count(CUBLASLT_MATMUL_DESC_TRANSB), 0u);
  EXPECT_EQ(valueOf<cublasLtEpilogue_t>(call.product, CUBLASLT_MATMUL_DESC_EPILOGUE),
            CUBLASLT_EPILOGUE_BIAS);
  EXPECT_EQ(valueOf<const float*>(call.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER), bias);
  EXPECT_EQ(call.alpha, 1);
  EXPECT_EQ(call.beta, 0);
  EXPECT_EQ(call.algorithm, 100u);
  EXPECT_EQ(call.workspace, workspace);
  EXPECT_EQ(call.workspace_bytes, library->workspaceBytes());
  EXPECT_EQ(call.stream, on.stream);
  EXPECT_EQ(state.compute, CUBLAS_COMPUTE_32F);
  EXPECT_EQ(state.scale, CUDA_R_32F);

  ASSERT_EQ(state.preferences.size(), 1u);
  const Attributes& wanted = state.preferences.begin()->second;
  EXPECT_EQ(valueOf<uint64_t>(wanted, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES),
            library->workspaceBytes());
  EXPECT_EQ(valueOf<uint32_t>(wanted, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK),
            static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (int which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    EXPECT_EQ(valueOf<uint32_t>(wanted, which), 64u);  // of the weight's address
  }
}

// f32 is f32: nothing in the library's arguments allows TF32.
TEST_F(CublasLtTest, F32IsNotTF32) {
  a.dtype = weight.dtype = DType::kF32;
  ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  ASSERT_EQ(state.calls.size(), 1u);
  EXPECT_EQ(state.compute, CUBLAS_COMPUTE_32F);
  EXPECT_EQ(state.calls[0].a_layout.type, CUDA_R_32F);
  EXPECT_EQ(state.calls[0].product.count(CUBLASLT_MATMUL_DESC_EPILOGUE), 0u);
}

// With 16-bit results the library would take 16-bit biases only: addBias() adds it.
TEST_F(CublasLtTest, ABiasOf16BitResultsIsNotTheLibrarys) {
  out.dtype = DType::kBF16;
  const auto* bias = reinterpret_cast<const float*>(address(0x400));
  out.rows = a.rows = 0;
  ASSERT_TRUE(library->multiply(on, a, weight, bias, out, workspace).ok());
  EXPECT_TRUE(state.calls.empty());
  const ProductShape shape = {9,    33, 64, 80, 64, 40, DType::kBF16, DType::kBF16, DType::kBF16,
                              true, 64};
  ASSERT_TRUE(library->algorithms(shape).ok());
  for (const auto& [product, attributes] : state.products) {
    EXPECT_EQ(attributes.count(CUBLASLT_MATMUL_DESC_EPILOGUE), 0u);
  }
}

TEST_F(CublasLtTest, AShapeIsPreparedOnce) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  }
  EXPECT_EQ(state.searches, 1);
  a.rows = out.rows = 5;
  ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  EXPECT_EQ(state.searches, 2);
  EXPECT_EQ(state.calls.back().b_layout.cols, 5u);
}

TEST_F(CublasLtTest, AnAlgorithmIsChosenIfItIsOffered) {
  const ProductShape shape = shapeOf(a, weight, nullptr, out);
  const Result<std::vector<uint64_t>> algorithms = library->algorithms(shape);
  ASSERT_TRUE(algorithms.ok());
  ASSERT_EQ(algorithms->size(), 2u);  // of three one cannot be used
  const Result<bool> second = library->choose(shape, (*algorithms)[1]);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(*second);
  ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  EXPECT_EQ(state.calls.back().algorithm, 102u);
  const Result<bool> unknown = library->choose(shape, 12345);
  ASSERT_TRUE(unknown.ok());
  EXPECT_FALSE(*unknown);
  ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  EXPECT_EQ(state.calls.back().algorithm, 102u);
}

// Types that the library does not multiply, and shapes for which it finds nothing: tiles.
TEST_F(CublasLtTest, WhatTheLibraryDoesNotDo) {
  ProductShape shape = shapeOf(a, weight, nullptr, out);
  for (const auto& [left, right, to] : {std::tuple(DType::kF32, DType::kBF16, DType::kF32),
                                        std::tuple(DType::kBF16, DType::kBF16, DType::kF16),
                                        std::tuple(DType::kF32, DType::kF32, DType::kBF16)}) {
    shape.a = left;
    shape.weight = right;
    shape.out = to;
    const Result<std::vector<uint64_t>> none = library->algorithms(shape);
    ASSERT_TRUE(none.ok());
    EXPECT_TRUE(none->empty());
    EXPECT_FALSE(*library->choose(shape, 1));
  }
  EXPECT_EQ(state.searches, 0);
  state.heuristic = CUBLAS_STATUS_NOT_SUPPORTED;
  ASSERT_TRUE(library->multiply(on, a, weight, nullptr, out, workspace).ok());
  EXPECT_EQ(state.searches, 1);
  EXPECT_TRUE(state.calls.empty());
}

TEST_F(CublasLtTest, Errors) {
  state.matmul = CUBLAS_STATUS_EXECUTION_FAILED;
  const Status failed = library->multiply(on, a, weight, nullptr, out, workspace);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message,
            "bf16[9, 64] x bf16[33, 64]' -> f32: cuBLASLt 13.1.2 says EXECUTION_FAILED");
  state.heuristic = CUBLAS_STATUS_INTERNAL_ERROR;
  EXPECT_FALSE(library->algorithms({1, 1, 1, 1, 1, 1}).ok());
  state.create = CUBLAS_STATUS_NOT_INITIALIZED;
  EXPECT_FALSE(cublasLtProducts(functions()).ok());
}

TEST(OpenCublasLt, WhatIsMissingIsSaid) {
  const Result<CublasLtFunctions> none = openCublasLt("/nonexistent/libcublasLt.so.13");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message.find('\n'), std::string::npos);
  EXPECT_NE(none.error().message.find("LD_LIBRARY_PATH"), std::string::npos);
  const Result<CublasLtFunctions> other = openCublasLt("libm.so.6");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("lacks cublasLtGetVersion, cublasLtGetStatusName"),
            std::string::npos)
      << other.error().message;
}

}  // namespace
}  // namespace dcc::cuda
