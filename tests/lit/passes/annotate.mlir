// RUN: %dcc-opt %s -split-input-file -annotate | FileCheck %s

// Matrices are cut as their module's rule says, biases with a colwise weight only; KV heads that
// are fewer than ranks are held by several; what a *_rep strategy asks becomes a reshard.
// CHECK-LABEL: dist.mesh = #dist.mesh<tp = 4>
module attributes {dist.mesh = #dist.mesh<tp = 4>, nn.tp_plan = [
    #nn.rule<"model.layers.*.q_proj" = "colwise" from "auto">,
    #nn.rule<"layers.*.k_proj" = "colwise" from "auto">,
    #nn.rule<"model.layers.*.o_proj" = "rowwise" from "auto">,
    #nn.rule<"model.layers.*.up_proj" = "colwise_rep" from "auto">,
    #nn.rule<"model.layers.*.down_proj" = "rowwise" from "auto">,
    #nn.rule<"model.layers.*.down_proj" = "rowwise_rep" from "--tp-rule">]} {
  // CHECK: @q.weight : !nn.tensor<8 x 8 x f32, [tp, _]> heads 4 from {{.*}} rule "model.layers.*.q_proj = colwise (auto)"
  nn.weight @q.weight : !nn.tensor<8 x 8 x f32> heads 4 from [#nn.source<"q.weight" in 0 at 0 : 8 x 8 x f32>]
  // CHECK: @q.bias : !nn.tensor<8 x f32, [tp]>
  nn.weight @q.bias : !nn.tensor<8 x f32> heads 4 from [#nn.source<"q.bias" in 0 at 0 : 8 x f32>]
  // CHECK: @k.weight : !nn.tensor<4 x 8 x f32, [tp{0:2, 0:2, 2:4, 2:4}, _]> heads 2 shared
  nn.weight @k.weight : !nn.tensor<4 x 8 x f32> heads 2 shared from [#nn.source<"k.weight" in 0 at 0 : 4 x 8 x f32>]
  // CHECK: @o.weight : !nn.tensor<8 x 8 x f32, [_, tp]> from
  nn.weight @o.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"o.weight" in 0 at 0 : 8 x 8 x f32>]
  // CHECK: @o.bias : !nn.tensor<8 x f32> from
  nn.weight @o.bias : !nn.tensor<8 x f32> from [#nn.source<"o.bias" in 0 at 0 : 8 x f32>]
  nn.weight @up.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 8 x 8 x f32>]
  // CHECK: @down.weight {{.*}} rule "model.layers.*.down_proj = rowwise_rep (--tp-rule)"
  nn.weight @down.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"down.weight" in 0 at 0 : 8 x 8 x f32>]
  func.func @prefill(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    %q = nn.linear %x, @q.weight : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.q_proj")
    %qb = nn.add_bias %q, @q.bias : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.q_proj")
    %k = nn.linear %x, @k.weight : <T x 8 x f32> -> <T x 4 x f32> loc("model.layers.0.k_proj")
    %o = nn.linear %qb, @o.weight : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.o_proj")
    %ob = nn.add_bias %o, @o.bias : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.o_proj")
    // CHECK: %[[UP:.*]] = nn.linear %{{.*}}, @up.weight
    // CHECK: dist.reshard %[[UP]] because "model.layers.*.up_proj = colwise_rep (auto)"
    %up = nn.linear %ob, @up.weight : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.up_proj")
    // CHECK: %[[PART:.*]] = dist.reshard %{{.*}} to <[_, tp]> because "model.layers.*.down_proj = rowwise_rep (--tp-rule)"
    // CHECK: nn.linear %[[PART]], @down.weight
    %down = nn.linear %up, @down.weight : <T x 8 x f32> -> <T x 8 x f32> loc("model.layers.0.down_proj")
    return %down : !nn.tensor<T x 8 x f32>
  }
}

// -----

// Without ranks nothing is cut, but the rules are still checked and shown.
// CHECK: @w : !nn.tensor<8 x 8 x f32> from {{.*}} rule "q_proj = colwise (auto)"
module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.tp_plan = [#nn.rule<"q_proj" = "colwise" from "auto">]} {
  nn.weight @w : !nn.tensor<8 x 8 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @w : <T x 8 x f32> -> <T x 8 x f32> loc("q_proj")
    return
  }
}

// -----

// A tied head whose uses want other cuts is held twice.
// CHECK: @embed.weight : !nn.tensor<8 x 4 x f32, [tp, _]>
// CHECK: @head.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"w"
// CHECK: func.func @f
// CHECK: nn.linear %{{.*}}, @head.weight
// CHECK: func.func @g
// CHECK: nn.linear %{{.*}}, @head.weight
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"embed" = "embedding_rowwise" from "auto">, #nn.rule<"head" = "replicate" from "auto">]} {
  nn.weight @embed.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 4 x f32>]
  func.func @f(%t: !nn.tensor<T x i32>) {
    %x = nn.embedding %t, @embed.weight : <T x i32> -> <T x 4 x f32> loc("embed")
    %y = nn.linear %x, @embed.weight : <T x 4 x f32> -> <T x 8 x f32> loc("head")
    return
  }
  func.func @g(%t: !nn.tensor<T x i32>) {
    %x = nn.embedding %t, @embed.weight : <T x i32> -> <T x 4 x f32> loc("embed")
    %y = nn.linear %x, @embed.weight : <T x 4 x f32> -> <T x 8 x f32> loc("head")
    return
  }
}

// -----

// A tied head that is gathered: the same cut, so it is held once.
// CHECK: @embed.weight : !nn.tensor<8 x 4 x f32, [tp, _]>
// CHECK: nn.linear %{{.*}}, @embed.weight
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"embed" = "embedding_rowwise" from "auto">,
    #nn.rule<"head" = "colwise_gather_output" from "auto">]} {
  nn.weight @embed.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 4 x f32>]
  func.func @f(%t: !nn.tensor<T x i32>) {
    %x = nn.embedding %t, @embed.weight : <T x i32> -> <T x 4 x f32> loc("embed")
    %y = nn.linear %x, @embed.weight : <T x 4 x f32> -> <T x 8 x f32> loc("head")
    return
  }
}

// -----

// A tied head: both uses want the vocabulary cut.
// CHECK: @embed.weight : !nn.tensor<8 x 4 x f32, [tp, _]>
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"embed" = "embedding_rowwise" from "auto">, #nn.rule<"head" = "colwise" from "auto">]} {
  nn.weight @embed.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 4 x f32>]
  func.func @f(%t: !nn.tensor<T x i32>) {
    %x = nn.embedding %t, @embed.weight : <T x i32> -> <T x 4 x f32> loc("embed")
    %y = nn.linear %x, @embed.weight : <T x 4 x f32> -> <T x 8 x f32> loc("head")
    return
  }
}

// -----

// The last rule that fits counts, however it is spelled; those before it are no slips.
// CHECK: @model.layers.0.up.weight : !nn.tensor<8 x 4 x f32> {{.*}} rule "layers.0.up = replicate (--tp-rule)"
// CHECK: @model.layers.1.up.weight : !nn.tensor<8 x 4 x f32, [tp, _]> {{.*}} rule "model.layers.*.up = colwise (plan.json:2)"
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"layers.*.up" = "colwise" from "plan.json:1">,
    #nn.rule<"model.layers.*.up" = "colwise" from "plan.json:2">,
    #nn.rule<"layers.0.up" = "replicate" from "--tp-rule">]} {
  nn.weight @model.layers.0.up.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"a" in 0 at 0 : 8 x 4 x f32>]
  nn.weight @model.layers.1.up.weight : !nn.tensor<8 x 4 x f32> from [#nn.source<"b" in 0 at 128 : 8 x 4 x f32>]
  func.func @f(%x: !nn.tensor<T x 4 x f32>) {
    %y = nn.linear %x, @model.layers.0.up.weight : <T x 4 x f32> -> <T x 8 x f32> loc("model.layers.0.up")
    %z = nn.linear %x, @model.layers.1.up.weight : <T x 4 x f32> -> <T x 8 x f32> loc("model.layers.1.up")
    return
  }
}
