// Package taskstest runs plans in tests: a Redis in the process, one worker, and the record, the events and the outputs of a run
// when it is over. Nothing has to be installed, and no store is needed for kinds that are Inline, as those of pipeline.Typed are.
//
//	func TestOrder(t *testing.T) {
//		registry, err := newRegistry()
//		...
//		result := taskstest.Run(t, registry,
//			pipeline.Stage{Name: "price", Kind: "ask", Params: []byte(`{"cents": 1099}`)},
//			pipeline.Stage{Name: "buy", Kind: "buy", Needs: []pipeline.Need{{Role: "cents", Stage: "price", Output: "cents"}}},
//		)
//		result.Succeeded()
//		if got := taskstest.Output[string](result, "buy", "receipt"); got != "1099 cents" {
//			t.Errorf("receipt %q", got)
//		}
//	}
//
// Run is New, Harness.Submit and Harness.Wait in one. Take these apart for what happens while a run is under way, such as a signal
// or a cancel, for which a Harness has the Client, and Await for the event to do it at.
//
// What goes wrong with the harness itself, such as a plan that is not valid, ends the test; what becomes of a run is for the
// test to judge. What stages log goes to the log of the test.
package taskstest
