// Judges images by a rendered ValidatingAdmissionPolicy with the API server's own
// expression language, and compares with cases.json:
//
//	policy POLICY.json CASES.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

type policy struct {
	Spec struct {
		Variables   []struct{ Name, Expression string }
		Validations []struct{ Expression, MessageExpression string }
	}
}

func main() {
	var rules policy
	var cases map[string]bool
	read(os.Args[1], &rules)
	read(os.Args[2], &cases)
	language := language()
	failed := 0
	for image, allowed := range cases {
		verdict, message := judge(language, rules, image)
		// A pod that is refused is told why, by the image's name.
		if verdict != allowed || strings.HasSuffix(message, ": ") != allowed {
			fmt.Printf("FAIL %s: %v, %q\n", image, verdict, message)
			failed++
		}
	}
	fmt.Printf("%d images judged, %d wrong\n", len(cases), failed)
	if failed > 0 || len(cases) == 0 {
		os.Exit(1)
	}
}

func read(path string, into any) {
	bytes, err := os.ReadFile(path)
	check(err)
	check(json.Unmarshal(bytes, into))
}

// What Kubernetes 1.30 knows, the first version with stable policies.
func language() *cel.Env {
	set, err := environment.MustBaseEnvSet(version.MajorMinor(1, 30)).Extend(
		environment.VersionedOptions{
			IntroducedVersion: version.MajorMinor(1, 0),
			EnvOptions: []cel.EnvOption{
				cel.Variable("object", cel.DynType),
				cel.Variable("variables", cel.MapType(cel.StringType, cel.DynType)),
			},
		})
	check(err)
	env, err := set.Env(environment.NewExpressions)
	check(err)
	return env
}

func judge(language *cel.Env, rules policy, image string) (bool, string) {
	container := func(image string) []any { return []any{map[string]any{"image": image}} }
	// The image that counts comes last: every list of containers is looked at.
	object := map[string]any{"spec": map[string]any{
		"containers":          container("registry.example.org/allowed"),
		"ephemeralContainers": container(image),
	}}
	variables := map[string]any{}
	input := map[string]any{"object": object, "variables": variables}
	for _, variable := range rules.Spec.Variables {
		variables[variable.Name] = run(language, variable.Expression, input)
	}
	validation := rules.Spec.Validations[0]
	verdict := run(language, validation.Expression, input).(bool)
	return verdict, run(language, validation.MessageExpression, input).(string)
}

func run(language *cel.Env, expression string, input map[string]any) any {
	ast, issues := language.Compile(expression)
	check(issues.Err())
	program, err := language.Program(ast)
	check(err)
	value, _, err := program.Eval(input)
	check(err)
	return value.Value()
}

func check(err error) {
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
}
