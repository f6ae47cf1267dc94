#include "runtime/backends/cuda/cublaslt.h"

#include <dlfcn.h>

#include <array>
#include <map>
#include <type_traits>
#include <utility>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/base/hash.h"

namespace dcc::cuda {
namespace {

// What NVIDIA recommends for Hopper; on others it is enough too.
constexpr size_t kWorkspace = size_t{32} << 20;
// Algorithms to choose from, at most.
constexpr int kAlgorithms = 24;

cudaDataType_t typeOf(DType type) {
  return type == DType::kBF16 ? CUDA_R_16BF : type == DType::kF16 ? CUDA_R_16F : CUDA_R_32F;
}

// Whether the library multiplies these types.
bool takes(const ProductShape& s) {
  return s.a == s.weight && (s.out == s.a || s.out == DType::kF32);
}

uint64_t fingerprint(const cublasLtMatmulAlgo_t& algorithm) {
  return hash64(std::as_bytes(std::span(algorithm.data)));
}

// A descriptor of the library, and the function that frees it.
template <class Descriptor>
class Owned {
 public:
  using Free = cublasStatus_t (*)(Descriptor);
  explicit Owned(Free free) : free_(free) {}
  Owned(Owned&& other) noexcept
      : free_(other.free_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  Owned& operator=(Owned&&) = delete;
  ~Owned() {
    if (descriptor_ != nullptr) free_(descriptor_);
  }
  Descriptor* out() { return &descriptor_; }
  Descriptor get() const { return descriptor_; }

 private:
  Free free_;
  Descriptor descriptor_ = nullptr;
};

// A shape, as the library wants it described, and its algorithms.
struct Prepared {
  Owned<cublasLtMatmulDesc_t> product;
  Owned<cublasLtMatrixLayout_t> a, weight, out;
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms;
  size_t chosen = 0;

  explicit Prepared(const CublasLtFunctions& lt)
      : product(lt.MatmulDescDestroy),
        a(lt.MatrixLayoutDestroy),
        weight(lt.MatrixLayoutDestroy),
        out(lt.MatrixLayoutDestroy) {}
};

class CublasLt : public MatrixLibrary {
 public:
  CublasLt(const CublasLtFunctions& lt, cublasLtHandle_t handle) : lt_(lt), handle_(handle) {
    const size_t version = lt.GetVersion();  // major * 10000 + minor * 100 + patch
    name_ = "cuBLASLt " + std::to_string(version / 10000) + "." +
            std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
  }
  ~CublasLt() override {
    prepared_.clear();
    lt_.Destroy(handle_);
  }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return kWorkspace; }

  Status multiply(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
                  const Matrix& out, std::byte* workspace) override {
    if (out.rows == 0 || out.cols == 0) return Status::success();
    const ProductShape shape = shapeOf(a, weight, bias, out);
    DCC_ASSIGN(Prepared* const product, find(shape));
    if (product == nullptr) {
      tiledGemm(on, a, weight, bias, out);
      return Status::success();
    }
    const bool epilogue = inEpilogue(shape);
    if (epilogue) {
      DCC_RETURN_IF_ERROR(set(product->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias, shape));
    }
    const float one = 1, zero = 0;
    const cublasLtMatmulHeuristicResult_t& chosen = product->algorithms[product->chosen];
    DCC_RETURN_IF_ERROR(
        said(lt_.Matmul(handle_, product->product.get(), &one, weight.data, product->weight.get(),
                        a.data, product->a.get(), &zero, out.data, product->out.get(), out.data,
                        product->out.get(), &chosen.algo, workspace, kWorkspace, on.stream),
             shape));
    if (bias != nullptr && !epilogue) addBias(on, out, bias, out);
    return Status::success();
  }

  Result<std::vector<uint64_t>> algorithms(const ProductShape& shape) override {
    DCC_ASSIGN(const Prepared* const product, find(shape));
    std::vector<uint64_t> all;
    if (product == nullptr) return all;
    for (const auto& algorithm : product->algorithms) all.push_back(fingerprint(algorithm.algo));
    return all;
  }

  Result<bool> choose(const ProductShape& shape, uint64_t algorithm) override {
    DCC_ASSIGN(Prepared* const product, find(shape));
    if (product == nullptr) return false;
    for (size_t i = 0; i < product->algorithms.size(); ++i) {
      if (fingerprint(product->algorithms[i].algo) != algorithm) continue;
      product->chosen = i;
      return true;
    }
    return false;
  }

 private:
  // To a 16-bit type the library adds none but 16-bit biases.
  static bool inEpilogue(const ProductShape& shape) {
    return shape.bias && shape.out == DType::kF32;
  }

  Status said(cublasStatus_t status, const ProductShape& shape) const {
    if (status == CUBLAS_STATUS_SUCCESS) return Status::success();
    return runtimeError(describe(shape) + ": " + name_ + " says " + lt_.GetStatusName(status));
  }
  template <class Value>
  Status set(const Owned<cublasLtMatmulDesc_t>& product, cublasLtMatmulDescAttributes_t attribute,
             const Value& value, const ProductShape& shape) const {
    const auto* const bytes = static_cast<const void*>(&value);  // a pointer's, too
    return said(lt_.MatmulDescSetAttribute(product.get(), attribute, bytes, sizeof(value)), shape);
  }

  // Null where the library has nothing for the shape.
  Result<Prepared*> find(const ProductShape& shape) {
    auto found = prepared_.find(shape);
    if (found == prepared_.end()) {
      Prepared product(lt_);
      if (takes(shape)) DCC_RETURN_IF_ERROR(prepare(shape, product));
      found = prepared_.emplace(shape, std::move(product)).first;
    }
    return found->second.algorithms.empty() ? nullptr : &found->second;
  }

  // The library's matrices are column by column, so that ours are transposed for it: out' [n, rows]
  // = weight [n, k] a' [k, rows], of which it sees weight' and a'.
  Status prepare(const ProductShape& s, Prepared& p) const {
    const auto layout = [&](Owned<cublasLtMatrixLayout_t>& of, DType type, int64_t rows,
                            int64_t cols, int64_t stride) {
      return said(lt_.MatrixLayoutCreate(of.out(), typeOf(type), static_cast<uint64_t>(cols),
                                         static_cast<uint64_t>(rows), stride),
                  s);
    };
    DCC_RETURN_IF_ERROR(layout(p.weight, s.weight, s.n, s.k, s.weight_stride));
    DCC_RETURN_IF_ERROR(layout(p.a, s.a, s.rows, s.k, s.a_stride));
    DCC_RETURN_IF_ERROR(layout(p.out, s.out, s.rows, s.n, s.out_stride));
    // Not the compute type with TF32: f32 is what it says.
    DCC_RETURN_IF_ERROR(
        said(lt_.MatmulDescCreate(p.product.out(), CUBLAS_COMPUTE_32F, CUDA_R_32F), s));
    DCC_RETURN_IF_ERROR(set(p.product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T, s));
    if (inEpilogue(s)) {
      DCC_RETURN_IF_ERROR(set(p.product, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS, s));
    }
    return search(s, p);
  }

  Status search(const ProductShape& s, Prepared& p) const {
    Owned<cublasLtMatmulPreference_t> wanted(lt_.MatmulPreferenceDestroy);
    DCC_RETURN_IF_ERROR(said(lt_.MatmulPreferenceCreate(wanted.out()), s));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      return said(lt_.MatmulPreferenceSetAttribute(wanted.get(), attribute, &value, sizeof(value)),
                  s);
    };
    DCC_RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspace}));
    // Parts of k are added in f32, in the workspace: sums in out's type would be rounded more than
    // once.
    DCC_RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                               static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)));
    const auto alignment = static_cast<uint32_t>(s.alignment);
    for (cublasLtMatmulPreferenceAttributes_t of :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      DCC_RETURN_IF_ERROR(prefer(of, alignment));
    }
    std::array<cublasLtMatmulHeuristicResult_t, kAlgorithms> found = {};
    int count = 0;
    const cublasStatus_t status =
        lt_.MatmulAlgoGetHeuristic(handle_, p.product.get(), p.weight.get(), p.a.get(), p.out.get(),
                                   p.out.get(), wanted.get(), kAlgorithms, found.data(), &count);
    // Nothing fits: tiles do.
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return Status::success();
    DCC_RETURN_IF_ERROR(said(status, s));
    for (int i = 0; i < count; ++i) {
      if (found[i].state == CUBLAS_STATUS_SUCCESS) p.algorithms.push_back(found[i]);
    }
    return Status::success();
  }

  const CublasLtFunctions lt_;
  const cublasLtHandle_t handle_;
  std::string name_;
  std::map<ProductShape, Prepared> prepared_;
};

}  // namespace

Result<CublasLtFunctions> openCublasLt(const std::string& path) {
  constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
  void* library = nullptr;
  std::string why;
  if (!path.empty()) {
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  } else {
    for (const char* name : kNames) {
      library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library != nullptr) break;
      if (why.empty()) why = ::dlerror();
    }
  }
  if (library == nullptr) {
    if (why.empty()) why = ::dlerror();
    return userError("cuBLASLt: cannot be opened: " + why +
                     "; install CUDA's libraries (pip's nvidia-cublas has it too) and name their "
                     "folder in LD_LIBRARY_PATH");
  }
  CublasLtFunctions functions;
  std::string missing;
  const auto find = [&](auto& function, const char* name) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    if (function == nullptr) missing += std::string(missing.empty() ? "" : ", ") + name;
  };
#define DCC_FIND(name) find(functions.name, "cublasLt" #name);
  DCC_CUBLASLT_FUNCTIONS(DCC_FIND)
#undef DCC_FIND
  if (!missing.empty()) {
    ::dlclose(library);
    return userError("cuBLASLt: the library lacks " + missing + "; 12 or newer is expected");
  }
  return functions;
}

Result<std::unique_ptr<MatrixLibrary>> cublasLtProducts(const CublasLtFunctions& functions) {
  cublasLtHandle_t handle = nullptr;
  const cublasStatus_t status = functions.Create(&handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    return runtimeError(std::string("cuBLASLt: cannot begin: ") + functions.GetStatusName(status));
  }
  return std::unique_ptr<MatrixLibrary>(std::make_unique<CublasLt>(functions, handle));
}

OpenedLibrary openMatrixLibrary() {
  const Result<CublasLtFunctions> functions = openCublasLt();
  if (!functions.ok()) {
    return {tiledProducts(), functions.error().message + "; until then products are slower"};
  }
  Result<std::unique_ptr<MatrixLibrary>> library = cublasLtProducts(*functions);
  if (!library.ok()) return {tiledProducts(), library.error().message};
  return {std::move(library).value(), ""};
}

}  // namespace dcc::cuda
