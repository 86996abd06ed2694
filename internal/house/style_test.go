package house

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 80 // the aim is 60; a table of cases may need more
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		assert.LessOrEqualf(t, s.lines, maxFileLines, "%s: split by idea", s.path)
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
				assert.LessOrEqualf(t, n, maxFunctionLines, "%s: %s is too long", s.path, f.Name.Name)
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		docs[s.pkg] += 0
		if s.file.Doc != nil {
			docs[s.pkg]++
		}
	}
	for pkg, n := range docs {
		assert.Equalf(t, 1, n, "package %s needs exactly one package comment", pkg)
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) {
					assert.NotNilf(t, d.Doc, "%s: %s has no comment", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				checkGenDecl(t, s, d)
			}
		}
	}
}

func checkGenDecl(t *testing.T, s source, d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() {
				assert.Truef(t, d.Doc != nil || spec.Doc != nil, "%s: %s has no comment", s.path, spec.Name.Name)
			}
		case *ast.ValueSpec:
			if spec.Names[0].IsExported() {
				assert.Truef(t, d.Doc != nil || spec.Doc != nil || spec.Comment != nil, "%s: %s has no comment", s.path, spec.Names[0].Name)
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if i, ok := typ.(*ast.IndexExpr); ok {
		typ = i.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// TestLibrariesAreQuiet: only commands print, exit, read the environment or
// run code at import.
func TestLibrariesAreQuiet(t *testing.T) {
	banned := map[string]string{
		"fmt.Print": "printing", "fmt.Println": "printing", "fmt.Printf": "printing",
		"os.Exit": "exiting", "os.Getenv": "reading the environment", "os.LookupEnv": "reading the environment", "os.Environ": "reading the environment",
	}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "cmd/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok {
					what, bad := banned[id.Name+"."+sel.Sel.Name]
					assert.Falsef(t, bad, "%s: %s is for commands and tests", s.fset.Position(n.Pos()), what)
				}
			}
			return true
		})
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				assert.NotEqualf(t, "init", f.Name.Name, "%s: work at import surprises importers", s.path)
			}
		}
	}
}

// TestPackageStateIsFixed: package variables are sentinel errors or tables that
// nothing assigns to.
func TestPackageStateIsFixed(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" {
			continue
		}
		vars := map[string]bool{}
		for _, d := range s.file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, spec := range g.Specs {
					for _, n := range spec.(*ast.ValueSpec).Names {
						vars[n.Name] = n.Name != "_"
					}
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
				for _, l := range a.Lhs {
					id, ok := l.(*ast.Ident)
					assert.Falsef(t, ok && vars[id.Name] && id.Obj != nil && id.Obj.Kind == ast.Var && s.file.Scope.Lookup(id.Name) == id.Obj,
						"%s: assigns to package state", s.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

func TestTheTagStandsInFewFiles(t *testing.T) {
	for _, s := range sources(t) {
		for _, c := range s.file.Comments {
			for _, line := range c.List {
				if strings.HasPrefix(line.Text, "//go:build") && strings.Contains(line.Text, "spark") {
					assert.Containsf(t, []string{"hypotheses/spark_test.go", "spark/sparktest/spark_test.go"}, s.path, "logic is never behind the tag")
				}
			}
		}
	}
}
