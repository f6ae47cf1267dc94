// RUN: %dcc-opt %s -specialize | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  dist.program @program_0 ranks [0, 1] {
    // By rows: one run each. 4 rows of 8 f32 are 128 bytes.
    // CHECK: plan.weight @rows : {{.*}} slices
    // CHECK-SAME: #plan.slice<rank 0 from row 0 = [<"rows" in 0 at 64 : f32, 1 runs of 32 every 32 to 0 every 32>]>
    // CHECK-SAME: #plan.slice<rank 1 from row 4 = [<"rows" in 0 at 192 : f32, 1 runs of 32 every 32 to 0 every 32>]>
    plan.weight @rows : !nn.tensor<4 x 8 x f32> of !nn.tensor<8 x 8 x f32, [tp, _]> from [#nn.source<"rows" in 0 at 64 : 8 x 8 x f32>]
    // By columns: a run a row, from bf16.
    // CHECK: plan.weight @columns
    // CHECK-SAME: #plan.slice<rank 1 from row 0 = [<"columns" in 1 at 8 : bf16, 8 runs of 4 every 8 to 0 every 4>]>
    plan.weight @columns : !nn.tensor<8 x 4 x bf16> of !nn.tensor<8 x 8 x bf16, [_, tp]> from [#nn.source<"columns" in 1 at 0 : 8 x 8 x bf16>]
    // Stacked sources with ranges of each: rank 1 holds rows 2..4 of q and both of k.
    // CHECK: plan.weight @stacked
    // CHECK-SAME: #plan.slice<rank 0 from row 0 = [<"q" in 0 at 0 : f32, 1 runs of 16 every 16 to 0 every 16>, <"k" in 0 at 512 : f32, 1 runs of 16 every 16 to 16 every 16>]>
    // CHECK-SAME: #plan.slice<rank 1 from row 2 = [<"q" in 0 at 64 : f32, 1 runs of 16 every 16 to 0 every 16>, <"k" in 0 at 512 : f32, 1 runs of 16 every 16 to 16 every 16>]>
    plan.weight @stacked : !nn.tensor<4 x 8 x f32> of !nn.tensor<6 x 8 x f32, [tp{0:2+4:6, 2:6}, _]> from [#nn.source<"q" in 0 at 0 : 4 x 8 x f32>, #nn.source<"k" in 0 at 512 : 2 x 8 x f32>]
    // A vector.
    // CHECK: plan.weight @vector
    // CHECK-SAME: #plan.slice<rank 1 from row 4 = [<"vector" in 0 at 16 : f32, 1 runs of 4 every 4 to 0 every 4>]>
    plan.weight @vector : !nn.tensor<4 x f32> of !nn.tensor<8 x f32, [tp]> from [#nn.source<"vector" in 0 at 0 : 8 x f32>]
    // Experts, one matrix each: rank 1 has the second.
    // CHECK: plan.weight @experts
    // CHECK-SAME: #plan.slice<rank 1 from row 0 = [<"e1" in 0 at 256 : f32, 1 runs of 32 every 32 to 0 every 32>]>
    plan.weight @experts : !nn.tensor<1 x 4 x 8 x f32> of !nn.tensor<2 x 4 x 8 x f32, [tp, _, _]> from [#nn.source<"e0" in 0 at 0 : 4 x 8 x f32>, #nn.source<"e1" in 0 at 256 : 4 x 8 x f32>]
    // Every other column of [in, out] matrices, seen as [out, in]: a run is a row of the file, whose elements
    // are 2 apart there and 8, a row of the weight, here. Rank 1 has the lower two of each four rows.
    // CHECK: plan.weight @view
    // CHECK-SAME: #plan.slice<rank 1 from row 2 = [<"packed" in 0 at 16 : f32, 8 runs of 2 every 8 to 0 every 1 step 2 to 8>, <"packed" in 0 at 272 : f32, 8 runs of 2 every 8 to 16 every 1 step 2 to 8>]>
    plan.weight @view : !nn.tensor<2 x 2 x 8 x f32> of !nn.tensor<2 x 4 x 8 x f32, [_, tp, _]> from [#nn.source<"packed" in 0 at 0 : 2 x 4 x 8 x f32 strides [64, 2, 8]>]
    // What is encoded is counted in elements of its tensor, and no run leaves its row.
    // CHECK: plan.weight @encoded
    // CHECK-SAME: #plan.slice<rank 1 from row 2 = [<"blocks" in 0 at 512 : bf16, 2 runs of 64 every 64 to 0 every 64 encoded <"mxfp4" element 128 of rows of 64, 1 by 32 blocks with scales in 1 at 64>>]>
    plan.weight @encoded : !nn.tensor<2 x 64 x bf16> of !nn.tensor<4 x 64 x bf16, [tp, _]> from [#nn.source<"blocks" in 0 at 512 : 4 x 64 x bf16 encoded <"mxfp4" element 0 of rows of 64, 1 by 32 blocks with scales in 1 at 64>>]
  }
}
