// RUN: %dcc-opt %s -split-input-file -verify-diagnostics
// One error each: what is wrong and, where it helps, what would be right.

// expected-error @+1 {{a size is a positive number or a name}}
func.func private @f(!nn.tensor<0 x f32>)

// -----

// expected-error @+1 {{axis 'tp' occurs twice in a placement}}
func.func private @f(!nn.tensor<4 x 4 x f32, [tp, tp]>)

// -----

// expected-error @+1 {{the placement has 1 dimensions, the tensor 2}}
func.func private @f(!nn.tensor<4 x 4 x f32, [tp]>)

// -----

// expected-error @+1 {{range 4:4 is empty or out of order}}
func.func private @f(!nn.tensor<8 x 4 x f32, [tp{0:4, 4:4}, _]>)

// -----

// expected-error @+1 {{mesh axis 'tp' occurs twice}}
module attributes {dist.mesh = #dist.mesh<tp = 2, tp = 4>} {}

// -----

// expected-error @+1 {{mesh axis 'tp' has size 0; a mesh has 1 to 65536 ranks}}
module attributes {dist.mesh = #dist.mesh<tp = 0>} {}

// -----

// expected-error @+1 {{has 8 rows, its sources 4}}
nn.weight @w : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 4 x 4 x f32>]

// -----

// expected-error @+1 {{has a source 'w' whose shape does not fit its own}}
nn.weight @w : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 5 x f32>]

// -----

// expected-error @+1 {{has 8 rows, which 3 heads do not divide}}
nn.weight @w : !nn.tensor<8 x 4 x f32> heads 3 from [#nn.source<"w" in 0 at 0 : 8 x 4 x f32>]

// -----

nn.weight @w : !nn.tensor<8 x 4 x f32> from [#nn.source<"w" in 0 at 0 : 8 x 4 x f32>]
func.func @f(%x: !nn.tensor<T x 5 x f32>) {
  // expected-error @+1 {{weight 'w' has 4 : i64 where another operand has 5 : i64 (dimension 1)}}
  %y = nn.linear %x, @w : <T x 5 x f32> -> <T x 8 x f32>
  return
}

// -----

func.func @f(%x: !nn.tensor<T x 4 x f32>) {
  // expected-error @+1 {{uses @w, which is no weight}}
  %y = nn.linear %x, @w : <T x 4 x f32> -> <T x 8 x f32>
  return
}

// -----

nn.cache @c : 2 heads of 4 + 4 x f32 in "full"
func.func @f(%q: !nn.tensor<T x 12 x f32>, %k: !nn.tensor<T x 8 x f32>) {
  // expected-error @+1 {{3 heads do not divide over 2 KV heads}}
  %y = nn.attention %q, %k, %k, @c k_dim 4 v_dim 4 scale 0.5
      : <T x 12 x f32>, <T x 8 x f32>, <T x 8 x f32> -> <T x 12 x f32>
  return
}

// -----

func.func @f(%x: !nn.tensor<T x 4 x f32>) {
  // expected-error @+1 {{knows no function 'swish'; it knows silu, gelu, gelu_tanh, relu}}
  %y = nn.activation "swish" %x : <T x 4 x f32> -> <T x 4 x f32>
  return
}

// -----

func.func @f(%x: !nn.tensor<T x 4 x f32>) {
  // expected-error @+1 {{has parts of 3 columns}}
  %a, %b = nn.split %x : <T x 4 x f32> -> !nn.tensor<T x 1 x f32>, !nn.tensor<T x 2 x f32>
  return
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 4 x f32, partial dp>) {
    // expected-error @+1 {{names the axis 'dp', which the module's dist.mesh does not have}}
    %y = dist.all_reduce %x over "dp" because "a rule" : <T x 4 x f32, partial dp> -> <T x 4 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 4 x f32, partial tp>) {
    // expected-error @+1 {{says no reason}}
    %y = dist.all_reduce %x over "tp" because "" : <T x 4 x f32, partial tp> -> <T x 4 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 4 x f32>) {
    // expected-error @+1 {{needs a partial sum over 'tp' and gives the sum}}
    %y = dist.all_reduce %x over "tp" because "a rule" : <T x 4 x f32> -> <T x 4 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 4 x f32>) {
    // expected-error @+1 {{needs a value whose dimension 1 is cut over 'tp'}}
    %y = dist.all_gather %x dimension 1 over "tp" because "a rule" : <T x 4 x f32> -> <T x 4 x f32>
    return
  }
}

// -----

plan.entry @f bounds {T = 4} {
  // expected-error @+1 {{knows no kernel 'norm'}}
  plan.kernel "norm" () [] into () : () -> ()
}

// -----

plan.entry @f bounds {T = 4} {
  %x = plan.input "tokens" : <T x 1 x i32>
  // expected-error @+1 {{'add' takes 2 buffers and 0 symbols into 1 buffers}}
  plan.kernel "add" (%x) [] into () : (!plan.buffer<T x 1 x i32>) -> ()
}

// -----

plan.entry @f bounds {T = 4} {
  %x = plan.alloc : <T x 8 x f32>
  // expected-error @+1 {{is not columns of its base}}
  %y = plan.view %x from column 6 : <T x 8 x f32> -> <T x 4 x f32, 8>
}

// -----

plan.entry @f bounds {T = 4} {
  // expected-error @+1 {{knows no step input 'ids'; there are tokens, positions}}
  %x = plan.input "ids" : <T x 1 x i32>
}

// -----

// Half the elements, but not those that the placement says.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  dist.program @p ranks [0, 1] {
    // expected-error @+1 {{which is not what rank 0 holds of '!nn.tensor<8 x 8 x f32, [tp, _]>'}}
    nn.weight @w : !nn.tensor<8 x 4 x f32> of !nn.tensor<8 x 8 x f32, [tp, _]> from [#nn.source<"w" in 0 at 0 : 8 x 8 x f32>]
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  dist.program @p ranks [0, 1] {
    // expected-error @+1 {{which is not what rank 0 holds of '!nn.tensor<8 x 8 x f32, [tp, _]>'}}
    plan.weight @w : !nn.tensor<8 x 4 x f32> of !nn.tensor<8 x 8 x f32, [tp, _]>
  }
}
